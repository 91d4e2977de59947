package marketing_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/testenv"
)

func ctx() context.Context { return context.Background() }

func TestSuppressedSubjectIsNotAdmitted(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	said, silent := slotstest.Subject(1), slotstest.Subject(2)
	w.refuses(t, said)
	w.Drain(t, w.action)

	got, err := w.desk.Admit(ctx(), "quiz", said, silent)
	require.NoError(t, err)
	require.Equal(t, marketing.Admission{Added: 1, Suppressed: 1}, got)
	got, err = w.desk.Schedule(ctx(), "quiz", time.UnixMilli(0), said, silent)
	require.NoError(t, err)
	require.Equal(t, marketing.Admission{Added: 1, Suppressed: 1}, got)
	got, err = w.desk.Schedule(ctx(), "spring-sale", time.UnixMilli(0), silent)
	require.NoError(t, err)
	require.Equal(t, marketing.Admission{Strangers: 1}, got)
}

func TestDoubtRefusesUntilTheActionIsDone(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	w.enlist(t, s)
	w.refuses(t, s)

	m, err := w.desk.Member(ctx(), "quiz", s)
	require.NoError(t, err)
	require.Equal(t, marketing.Membership{In: true, Doubted: true}, m, "the reader sees that this is old")
	taken, err := w.desk.Take(ctx(), 0, "quiz", time.UnixMilli(5000), 10)
	require.NoError(t, err)
	require.Empty(t, taken)
	got, err := w.desk.Admit(ctx(), "quiz", s)
	require.NoError(t, err)
	require.Equal(t, marketing.Admission{Doubted: 1}, got)
	got, err = w.desk.Schedule(ctx(), "quiz", time.UnixMilli(0), s)
	require.NoError(t, err)
	require.Equal(t, marketing.Admission{Doubted: 1}, got)

	w.Drain(t, w.action)
	m, err = w.desk.Member(ctx(), "quiz", s)
	require.NoError(t, err)
	require.Equal(t, marketing.Membership{Suppressed: true}, m)
}

func TestOneCommandShowsMembershipAndDoubt(t *testing.T) {
	docs, err := os.ReadFile("../../docs/services.md")
	require.NoError(t, err)
	_, script, _ := strings.Cut(string(docs), `redis-cli EVAL_RO "`)
	script, _, found := strings.Cut(script, `" 3 `)
	require.True(t, found)
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	keys := []string{w.Slot.Prefix + "audience:quiz", w.Slot.Prefix + "outbox", w.Slot.Prefix + "held"}
	look := func() []any {
		reply, err := w.client.EvalRO(ctx(), script, keys, s.Reveal()).Slice()
		require.NoError(t, err)
		return reply
	}
	w.enlist(t, s)
	require.Equal(t, []any{int64(1), nil, nil}, look())
	turn := w.refuses(t, s)
	require.Equal(t, []any{int64(1), fmt.Sprint(turn.Version.Offset), nil}, look())
	w.Drain(t, w.action)
	require.Equal(t, []any{int64(0), nil, nil}, look())
}

func TestHeldSubjectIsInDoubtUntilEveryHoldIsReleased(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	for holds, doubted := range map[string]bool{"1/0@7": true, "-1/0@7": false, "-1/0@7 1/0@9": true, "-1/0@7 *": true, "-1/0@7 -1/0@9": false} {
		require.NoError(t, w.client.HSet(ctx(), w.Slot.Prefix+"held", s.Reveal(), holds).Err())
		m, err := w.desk.Member(ctx(), "quiz", s)
		require.NoError(t, err)
		require.Equal(t, doubted, m.Doubted, holds)
	}
}

func TestSendIsTakenOnceAndNotBeforeItIsDue(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	all := slotstest.Subjects(3)
	w.enlist(t, all...)
	taken, err := w.desk.Take(ctx(), 0, "quiz", time.UnixMilli(999), 10)
	require.NoError(t, err)
	require.Empty(t, taken)
	first, err := w.desk.Take(ctx(), 0, "quiz", time.UnixMilli(1000), 2)
	require.NoError(t, err)
	rest, err := w.desk.Take(ctx(), 0, "quiz", time.UnixMilli(1000), 2)
	require.NoError(t, err)
	require.Len(t, first, 2)
	require.ElementsMatch(t, all, append(first, rest...))
}

func TestTakeDropsWhoeverLeftSinceScheduling(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	stays, left, said := slotstest.Subject(0), slotstest.Subject(1), slotstest.Subject(2)
	w.enlist(t, stays, left, said)
	require.NoError(t, w.client.SRem(ctx(), w.Slot.Prefix+"audience:quiz", left.Reveal()).Err())
	require.NoError(t, w.client.SAdd(ctx(), w.Slot.Prefix+"suppressed:contests", said.Reveal()).Err())
	taken, err := w.desk.Take(ctx(), 0, "quiz", time.UnixMilli(1000), 10)
	require.NoError(t, err)
	require.Equal(t, []events.Subject{stays}, taken)
	require.Zero(t, w.client.ZCard(ctx(), w.Slot.Prefix+"queue:quiz").Val())
}

func TestDoubtedSendsDoNotBlockTheQueue(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	stuck, behind := slotstest.Subject(0), slotstest.Subject(1)
	w.enlist(t, stuck, behind)
	require.NoError(t, w.client.HSet(ctx(), w.Slot.Prefix+"held", stuck.Reveal(), "1/0@7").Err())
	now := time.UnixMilli(1000)
	var taken []events.Subject
	for range 2 {
		some, err := w.desk.Take(ctx(), 0, "quiz", now, 1)
		require.NoError(t, err)
		taken = append(taken, some...)
	}
	require.Equal(t, []events.Subject{behind}, taken)
	require.NoError(t, w.client.HDel(ctx(), w.Slot.Prefix+"held", stuck.Reveal()).Err())
	some, err := w.desk.Take(ctx(), 0, "quiz", now.Add(time.Minute), 1)
	require.NoError(t, err)
	require.Equal(t, []events.Subject{stuck}, some)
}

func TestPartitionBehindTheLogHandsOutNobodyAndPutsNobodyOff(t *testing.T) {
	server := testenv.Redis(t)
	w := newWorld(t, slotstest.Client(t, server))
	s := slotstest.Subject(0)
	w.enlist(t, s)
	cold, err := marketing.Open(server.Client(t), []consumers.Slot{w.Slot})
	require.NoError(t, err)
	require.NoError(t, w.client.HDel(ctx(), w.Slot.Prefix+"pos", "fresh").Err())
	taken, err := cold.Take(ctx(), 0, "quiz", time.UnixMilli(1000), 10)
	require.NoError(t, err)
	require.Empty(t, taken)
	taken, err = w.desk.Take(ctx(), 0, "quiz", time.UnixMilli(1000), 10)
	require.NoError(t, err)
	require.Equal(t, []events.Subject{s}, taken)
}

func TestCampaignKeepsItsPurpose(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	require.NoError(t, w.desk.Register(ctx(), "quiz", "contests"))
	require.ErrorIs(t, w.desk.Register(ctx(), "quiz", "research"), marketing.ErrPurpose)
	require.Error(t, w.desk.Register(ctx(), "ads", "targeted-ads"))
	require.Error(t, w.desk.Register(ctx(), "Spring Sale", "promotion"))
	got, err := w.desk.Campaigns(ctx())
	require.NoError(t, err)
	require.Equal(t, campaigns, got)
}

func TestUnregisteredCampaignTakesNobody(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	w.enlist(t, slotstest.Subject(1))
	require.NoError(t, w.desk.Remove(ctx(), "quiz"))
	_, err := w.desk.Admit(ctx(), "quiz", slotstest.Subject(1))
	require.ErrorIs(t, err, marketing.ErrCampaign)
	_, err = w.desk.Schedule(ctx(), "quiz", time.Time{}, slotstest.Subject(1))
	require.ErrorIs(t, err, marketing.ErrCampaign)
	_, err = w.desk.Take(ctx(), 0, "quiz", time.Time{}, 1)
	require.ErrorIs(t, err, marketing.ErrCampaign)
	require.Zero(t, w.client.Exists(ctx(), w.Slot.Prefix+"audience:quiz", w.Slot.Prefix+"queue:quiz").Val())
}

func TestCampaignsAreBounded(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	for n := len(campaigns); n < marketing.MaxCampaigns; n++ {
		require.NoError(t, w.client.HSet(ctx(), w.Slot.Prefix+"campaigns", fmt.Sprint("c-", n), "promotion").Err())
	}
	require.ErrorIs(t, w.desk.Register(ctx(), "one-more", "promotion"), marketing.ErrFull)
}

func TestAudiencesSpreadOverTheSlotsOfTheirSubjects(t *testing.T) {
	client := slotstest.Redis(t)
	all := slotstest.Slots(marketing.Name, 4)
	desk, err := marketing.Open(client, all)
	require.NoError(t, err)
	require.NoError(t, desk.Register(ctx(), "quiz", "contests"))
	people := slotstest.Subjects(100)
	got, err := desk.Admit(ctx(), "quiz", people...)
	require.NoError(t, err)
	require.Equal(t, 100, got.Added)
	for _, s := range people {
		key := all[events.PartitionOf(s.Reveal(), 4)].Prefix + "audience:quiz"
		require.True(t, client.SIsMember(ctx(), key, s.Reveal()).Val())
	}
}
