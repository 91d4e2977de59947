package marketing_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/testenv"
)

// world is a marketing service with one partition, its team and its campaigns.
type world struct {
	*slotstest.Engine
	client *redis.Client
	action *marketing.Action
	desk   *marketing.Desk
	acted  marketing.Acted // all scripts together
}

var campaigns = map[string]events.Purpose{"spring-sale": "promotion", "quiz": "contests", "sale-again": "promotion"}

func newWorld(t slotstest.T, client *redis.Client) *world {
	t.Helper()
	all := slotstest.Slots(marketing.Name, 1)
	w := &world{Engine: slotstest.NewEngine(client, all[0]), client: client}
	var err error
	w.action, err = marketing.New(client, w.Rules, func(a marketing.Acted) {
		w.acted.Turns += a.Turns
		w.acted.Late += a.Late
		w.acted.LeftAudience += a.LeftAudience
		w.acted.LeftQueue += a.LeftQueue
		w.acted.Suppressed += a.Suppressed
		w.acted.Lifted += a.Lifted
	})
	require.NoError(t, err)
	w.desk, err = marketing.Open(client, all)
	require.NoError(t, err)
	for name, purpose := range campaigns {
		require.NoError(t, w.desk.Register(ctx(), name, purpose))
	}
	return w
}

// agrees and refuses decide for all of marketing's purposes.
func (w *world) agrees(t slotstest.T, s events.Subject) consumers.Turn {
	return w.Decide(t, s, w.Standing(t, marketing.Purposes(), nil))
}

func (w *world) refuses(t slotstest.T, s events.Subject) consumers.Turn {
	return w.Decide(t, s, w.Standing(t, nil, marketing.Purposes()))
}

// enlist puts subjects in the audience and the queue of every campaign.
func (w *world) enlist(t slotstest.T, subjects ...events.Subject) {
	t.Helper()
	for name := range campaigns {
		got, err := w.desk.Admit(ctx(), name, subjects...)
		require.NoError(t, err)
		require.Equal(t, len(subjects), got.Added)
		got, err = w.desk.Schedule(ctx(), name, time.UnixMilli(1000), subjects...)
		require.NoError(t, err)
		require.Equal(t, len(subjects), got.Added)
	}
}

// sees says whether a subject is in audience, queue and suppression of a campaign.
func (w *world) sees(t slotstest.T, campaign string, s events.Subject) (audience, queue, suppressed bool) {
	t.Helper()
	m, err := w.desk.Member(ctx(), campaign, s)
	require.NoError(t, err)
	err = w.client.ZScore(ctx(), w.Slot.Prefix+"queue:"+campaign, s.Reveal()).Err()
	if err != redis.Nil {
		require.NoError(t, err)
	}
	return m.In, err == nil, m.Suppressed
}

func TestStopTakesSubjectOutOfEveryCampaignOfThePurpose(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	leaver, stayer := slotstest.Subject(1), slotstest.Subject(2)
	w.enlist(t, leaver, stayer)

	w.Decide(t, leaver, w.Standing(t, []events.Purpose{"contests", "surveys"}, []events.Purpose{"promotion"}))
	w.Drain(t, w.action)

	for name, purpose := range campaigns {
		audience, queue, suppressed := w.sees(t, name, leaver)
		require.Equal(t, purpose != "promotion", audience, name)
		require.Equal(t, purpose != "promotion", queue, name)
		require.Equal(t, purpose == "promotion", suppressed, name)
		audience, queue, suppressed = w.sees(t, name, stayer)
		require.True(t, audience && queue && !suppressed, name)
	}
	require.Equal(t, marketing.Acted{Turns: 1, LeftAudience: 2, LeftQueue: 2, Suppressed: 1}, w.acted)
}

func TestAgreeingAgainLiftsSuppressionAndEnlistsNobody(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	w.enlist(t, s)
	w.refuses(t, s)
	w.Drain(t, w.action)
	w.agrees(t, s)
	w.Drain(t, w.action)

	audience, queue, suppressed := w.sees(t, "spring-sale", s)
	require.False(t, audience || queue || suppressed)
	require.Equal(t, 4, w.acted.Lifted)
	w.enlist(t, s)
}

func TestUndecidedPurposeIsLeftButNotSuppressed(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	w.enlist(t, s)
	w.Decide(t, s, w.Standing(t, []events.Purpose{"promotion"}, nil))
	w.Drain(t, w.action)

	audience, _, suppressed := w.sees(t, "quiz", s)
	require.False(t, audience, "nobody allowed contests")
	require.False(t, suppressed, "nobody stopped contests")
	audience, _, _ = w.sees(t, "spring-sale", s)
	require.True(t, audience)
}

func TestRepeatedTurnsChangeNothing(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	w.enlist(t, s)
	turn := w.refuses(t, s)
	require.NoError(t, w.action.Act(ctx(), w.Slot, []consumers.Turn{turn, turn}))
	first := w.acted
	require.NoError(t, w.action.Act(ctx(), w.Slot, []consumers.Turn{turn}))
	first.Turns++
	require.Equal(t, first, w.acted)
}

func TestNewestTurnWinsInAnyOrder(t *testing.T) {
	for name, order := range map[string][]int{"in order": {0, 1}, "reversed": {1, 0}, "old again": {0, 1, 0}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, slotstest.Redis(t))
			s := slotstest.Subject(1)
			turns := []consumers.Turn{w.agrees(t, s), w.refuses(t, s)}
			for _, i := range order {
				require.NoError(t, w.action.Act(ctx(), w.Slot, turns[i:i+1]))
			}
			_, _, suppressed := w.sees(t, "quiz", s)
			require.True(t, suppressed, "one by one")
			require.NoError(t, w.action.Act(ctx(), w.Slot, []consumers.Turn{turns[order[0]], turns[order[1]]}))
			_, _, suppressed = w.sees(t, "quiz", s)
			require.True(t, suppressed, "together")
		})
	}
}

func TestLateTurnOfAnOldOwnerUndoesNothing(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	late := w.agrees(t, s)
	w.refuses(t, s)
	w.Drain(t, w.action)

	require.NoError(t, w.action.Act(ctx(), w.Slot, []consumers.Turn{late}))
	_, _, suppressed := w.sees(t, "quiz", s)
	require.True(t, suppressed)
	require.Equal(t, 1, w.acted.Late)

	w.agrees(t, s) // waits for its action now, and is newer than the late turn too
	require.NoError(t, w.action.Act(ctx(), w.Slot, []consumers.Turn{late}))
	require.Equal(t, 2, w.acted.Late)
}

func TestMarksOfWhatWasActedOnDoNotPileUp(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	for n := range 50 {
		for i := range 10 {
			w.refuses(t, slotstest.Subject(10*n+i))
		}
		w.Drain(t, w.action)
	}
	marks, err := w.client.ZCard(ctx(), w.Slot.Prefix+"acted").Result()
	require.NoError(t, err)
	require.LessOrEqual(t, marks, int64(10))
}

func TestCrashInBetweenIsMadeGoodByTheRepeat(t *testing.T) {
	const people = 1200 // several scripts
	for name, breaker := range map[string]*slotstest.Breaker{
		"before the script": {At: 2}, "reply lost": {At: 2, After: true},
	} {
		t.Run(name, func(t *testing.T) {
			server := testenv.Redis(t)
			w := newWorld(t, slotstest.Client(t, server))
			all := slotstest.Subjects(people)
			for _, s := range all {
				w.Decide(t, s, w.Standing(t, nil, marketing.Purposes()))
			}
			for name := range campaigns { // as a team that knows no helper writes
				key := w.Slot.Prefix + "audience:" + name
				for _, s := range all {
					require.NoError(t, w.client.SAdd(ctx(), key, s.Reveal()).Err())
				}
			}
			broken := server.Client(t)
			broken.AddHook(breaker)
			fragile, err := marketing.New(broken, w.Rules, nil)
			require.NoError(t, err)
			require.ErrorIs(t, fragile.Act(ctx(), w.Slot, w.Pending(t)), slotstest.ErrBroken)

			w.Drain(t, w.action)
			for name, purpose := range campaigns {
				require.Zero(t, w.client.SCard(ctx(), w.Slot.Prefix+"audience:"+name).Val())
				require.EqualValues(t, people, w.client.SCard(ctx(), w.Slot.Prefix+"suppressed:"+string(purpose)).Val())
			}
		})
	}
}

func TestSpoiledKeyDelaysNobodyElsesStop(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	w.enlist(t, s)
	spoiled := w.Slot.Prefix + "audience:quiz"
	require.NoError(t, w.client.Del(ctx(), spoiled).Err())
	require.NoError(t, w.client.Set(ctx(), spoiled, "not a set", 0).Err())

	err := w.action.Act(ctx(), w.Slot, []consumers.Turn{w.refuses(t, s)})
	require.ErrorContains(t, err, "audience:quiz")
	require.NotContains(t, err.Error(), s.Reveal())
	for _, name := range []string{"spring-sale", "sale-again"} {
		audience, queue, suppressed := w.sees(t, name, s)
		require.True(t, !audience && !queue && suppressed, name)
	}
}

func TestCampaignOfAnotherServicesPurposeIsForNobody(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	require.NoError(t, w.client.HSet(ctx(), w.Slot.Prefix+"campaigns", "odd", "targeted-ads").Err())
	require.NoError(t, w.client.SAdd(ctx(), w.Slot.Prefix+"audience:odd", s.Reveal()).Err())
	w.agrees(t, s)
	w.Drain(t, w.action)
	audience, _, _ := w.sees(t, "odd", s)
	require.False(t, audience)
}

func TestForgottenScriptIsSentAgain(t *testing.T) {
	server := testenv.Redis(t)
	w := newWorld(t, slotstest.Client(t, server))
	s := slotstest.Subject(1)
	w.refuses(t, s)
	w.Drain(t, w.action)
	require.NoError(t, w.client.ScriptFlush(ctx()).Err())
	w.agrees(t, s)
	w.Drain(t, w.action)
	_, _, suppressed := w.sees(t, "quiz", s)
	require.False(t, suppressed)
}

func TestAllKeysAreInTheSlot(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	w.enlist(t, slotstest.Subject(1), slotstest.Subject(2))
	w.refuses(t, slotstest.Subject(2))
	w.Drain(t, w.action)
	slotstest.RequireOneSlot(t, w.client, w.Slot.Prefix)
}

func TestRulesWithoutMarketingsPurposesAreRefused(t *testing.T) {
	rules, err := events.ParseRules([]byte(`{"clockUncertaintyMs":500,"purposes":[]}`))
	require.NoError(t, err)
	_, err = marketing.New(slotstest.Redis(t), rules, nil)
	require.ErrorContains(t, err, "promotion")
}
