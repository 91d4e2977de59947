package affiliate_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/testenv"
)

// world is an affiliate service with one partition and two partners.
type world struct {
	*slotstest.Engine
	client   *redis.Client
	partners []affiliate.Partner
	action   *affiliate.Action
	desk     *affiliate.Desk
	acted    affiliate.Acted // all scripts together
}

func ctx() context.Context { return context.Background() }

func newWorld(t slotstest.T, client *redis.Client) *world {
	t.Helper()
	w := &world{
		Engine: slotstest.NewEngine(client, slotstest.Slots(affiliate.Name, 1)[0]), client: client,
		partners: []affiliate.Partner{
			{ID: "home", Country: "KZ", Purposes: []events.Purpose{"contractors", "partner-contracts"}, Current: key(t, 1)},
			{ID: "abroad", Country: "DE", Purposes: []events.Purpose{"contractors"}, Current: key(t, 2)},
		},
	}
	w.start(t)
	return w
}

// start starts action and desk with the partners as they are now.
func (w *world) start(t slotstest.T) {
	t.Helper()
	var err error
	w.action, err = affiliate.New(w.client, w.Rules, w.partners, func(a affiliate.Acted) {
		w.acted.Turns += a.Turns
		w.acted.Late += a.Late
		w.acted.Closed += a.Closed
		w.acted.Opened += a.Opened
		w.acted.Queued += a.Queued
	})
	require.NoError(t, err)
	w.desk, err = affiliate.Open(w.client, []consumers.Slot{w.Slot}, w.partners)
	require.NoError(t, err)
}

// rotate gives a partner a new key and keeps the one it had.
func (w *world) rotate(t slotstest.T, partner int, b byte) {
	t.Helper()
	w.partners[partner].Previous, w.partners[partner].Current = w.partners[partner].Current, key(t, b)
	w.start(t)
}

func (w *world) agrees(t slotstest.T, s events.Subject) consumers.Turn {
	return w.Decide(t, s, w.Standing(t, affiliate.Purposes(), nil))
}

func (w *world) refuses(t slotstest.T, s events.Subject) consumers.Turn {
	return w.Decide(t, s, w.Standing(t, nil, affiliate.Purposes()))
}

func (w *world) share(t slotstest.T, partner string, purpose events.Purpose, s events.Subject) affiliate.Share {
	t.Helper()
	shares, err := w.desk.Share(ctx(), partner, purpose, s)
	require.NoError(t, err)
	require.Len(t, shares, 1)
	require.Equal(t, s, shares[0].Subject)
	return shares[0]
}

func (w *world) queue(t slotstest.T, partner string) *affiliate.Queue {
	t.Helper()
	q, err := affiliate.OpenQueue(w.client, []consumers.Slot{w.Slot}, partner, time.Minute)
	require.NoError(t, err)
	return q
}

// due leases all stops of a partner.
func (w *world) due(t slotstest.T, partner string) []affiliate.Stop {
	t.Helper()
	stops, err := w.queue(t, partner).Next(ctx(), 0, time.Now().Add(time.Hour), 100)
	require.NoError(t, err)
	return stops
}

func TestStopClosesThePseudonymAndIsQueued(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	leaver, stayer := slotstest.Subject(1), slotstest.Subject(2)
	pseudonym := w.partners[0].Current.Pseudonym(leaver)
	require.Equal(t, affiliate.Share{Subject: leaver, Pseudonym: pseudonym}, w.share(t, "home", "contractors", leaver))

	turn := w.Decide(t, leaver, w.Standing(t, []events.Purpose{"partner-contracts"}, []events.Purpose{"contractors"}))
	w.Drain(t, w.action)

	require.Equal(t, affiliate.Share{Subject: leaver, Closed: true}, w.share(t, "home", "contractors", leaver))
	require.NotEmpty(t, w.share(t, "home", "partner-contracts", leaver).Pseudonym)
	require.NotEmpty(t, w.share(t, "home", "contractors", stayer).Pseudonym)
	stops := w.due(t, "home")
	require.Len(t, stops, 1)
	require.Equal(t, "home", stops[0].Partner)
	require.Equal(t, []affiliate.Pseudonym{pseudonym}, stops[0].Pseudonyms)
	require.Equal(t, []events.Purpose{"contractors"}, stops[0].Purposes)
	require.Equal(t, turn.Version, stops[0].DecidedBy)
	require.WithinDuration(t, time.Now(), stops[0].Enqueued, time.Minute)
	require.Len(t, w.due(t, "abroad"), 1)
	require.Equal(t, affiliate.Acted{Turns: 1, Closed: 2, Queued: 2}, w.acted)
}

func TestPartnerAbroadNeedsTheBorderToo(t *testing.T) {
	const purpose, border = "contractors", "cross-border"
	for name, c := range map[string]struct {
		allowed, stopped []events.Purpose
		closed, told     bool
	}{
		"both allowed":              {allowed: []events.Purpose{purpose, border}},
		"border stopped":            {allowed: []events.Purpose{purpose}, stopped: []events.Purpose{border}, closed: true, told: true},
		"purpose stopped":           {allowed: []events.Purpose{border}, stopped: []events.Purpose{purpose}, closed: true, told: true},
		"border never decided":      {allowed: []events.Purpose{purpose}},
		"purpose was never decided": {stopped: []events.Purpose{border}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, slotstest.Redis(t))
			s := slotstest.Subject(1)
			w.Decide(t, s, w.Standing(t, c.allowed, c.stopped))
			w.Drain(t, w.action)
			require.Equal(t, c.closed, w.share(t, "abroad", purpose, s).Closed)
			require.Equal(t, c.told, len(w.due(t, "abroad")) == 1)
			if name == "border stopped" {
				require.False(t, w.share(t, "home", purpose, s).Closed, "no border in between")
				require.Empty(t, w.due(t, "home"))
			}
		})
	}
}

func TestAgreeingAgainOpensAndTheOldStopIsStillDelivered(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	first := w.refuses(t, s)
	w.Drain(t, w.action)
	w.agrees(t, s)
	w.Drain(t, w.action)
	require.NotEmpty(t, w.share(t, "home", "contractors", s).Pseudonym)
	second := w.refuses(t, s)
	w.Drain(t, w.action)

	stops := w.due(t, "home")
	require.Len(t, stops, 2)
	require.Equal(t, first.Version, stops[0].DecidedBy)
	require.Equal(t, second.Version, stops[1].DecidedBy)
}

func TestRepeatedTurnsQueueNothingAgain(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	turn := w.refuses(t, slotstest.Subject(1))
	require.NoError(t, w.action.Act(ctx(), w.Slot, []consumers.Turn{turn, turn}))
	stops := w.due(t, "home")
	require.NoError(t, w.queue(t, "home").Ack(ctx(), stops...))
	first := w.acted
	require.NoError(t, w.action.Act(ctx(), w.Slot, []consumers.Turn{turn}))
	first.Turns++
	require.Equal(t, first, w.acted)
	require.Empty(t, w.due(t, "home"))
}

func TestFurtherPurposeIsAnotherStop(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	w.Decide(t, s, w.Standing(t, []events.Purpose{"partner-contracts"}, []events.Purpose{"contractors"}))
	w.Drain(t, w.action)
	w.refuses(t, s)
	w.Drain(t, w.action)
	stops := w.due(t, "home")
	require.Len(t, stops, 2)
	require.Equal(t, []events.Purpose{"contractors"}, stops[0].Purposes)
	require.Equal(t, []events.Purpose{"contractors", "partner-contracts"}, stops[1].Purposes)
}

func TestLateTurnOfAnOldOwnerUndoesNothing(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	refusal, consent := w.refuses(t, s), w.agrees(t, s)
	turns := w.Pending(t)
	require.NoError(t, w.action.Act(ctx(), w.Slot, turns))
	require.NoError(t, w.action.Act(ctx(), w.Slot, []consumers.Turn{refusal}))
	w.Done(t, turns)
	require.NoError(t, w.action.Act(ctx(), w.Slot, []consumers.Turn{refusal, consent}))
	require.Equal(t, 2, w.acted.Late)
	require.NotEmpty(t, w.share(t, "home", "contractors", s).Pseudonym)
	require.Empty(t, w.due(t, "home"))
}

func TestCrashInBetweenIsMadeGoodByTheRepeat(t *testing.T) {
	const people = 700 // several scripts
	for name, breaker := range map[string]*slotstest.Breaker{
		"before the script": {At: 2}, "reply lost": {At: 2, After: true},
	} {
		t.Run(name, func(t *testing.T) {
			server := testenv.Redis(t)
			w := newWorld(t, slotstest.Client(t, server))
			for _, s := range slotstest.Subjects(people) {
				w.refuses(t, s)
			}
			broken := server.Client(t)
			broken.AddHook(breaker)
			fragile, err := affiliate.New(broken, w.Rules, w.partners, nil)
			require.NoError(t, err)
			require.ErrorIs(t, fragile.Act(ctx(), w.Slot, w.Pending(t)), slotstest.ErrBroken)

			w.Drain(t, w.action)
			for _, partner := range w.partners {
				n, err := w.queue(t, partner.ID).Len(ctx())
				require.NoError(t, err)
				require.EqualValues(t, people, n)
				require.EqualValues(t, people, w.client.SCard(ctx(), w.Slot.Prefix+"closed:"+partner.ID+":contractors").Val())
			}
		})
	}
}

func TestSpoiledQueueLosesNoStopAndDelaysNoOtherPartner(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	spoiled := w.Slot.Prefix + "queue:home"
	require.NoError(t, w.client.Set(ctx(), spoiled, "not a sorted set", 0).Err())
	w.refuses(t, s)
	require.ErrorContains(t, w.action.Act(ctx(), w.Slot, w.Pending(t)), "queue:home")
	require.Len(t, w.due(t, "abroad"), 1)
	require.Empty(t, w.share(t, "home", "contractors", s).Pseudonym, "in doubt until then")

	require.NoError(t, w.client.Del(ctx(), spoiled).Err())
	w.Drain(t, w.action)
	require.Len(t, w.due(t, "home"), 1)
	require.True(t, w.share(t, "home", "contractors", s).Closed)
}

func TestPartnersSeeNoSubjectAndNothingInCommon(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	people := slotstest.Subjects(20)
	for _, s := range people {
		w.refuses(t, s)
	}
	w.Drain(t, w.action)
	facing := make(map[string]string) // partner → all that its keys hold
	for _, partner := range w.partners {
		for _, purpose := range partner.Purposes {
			members, err := w.client.SMembers(ctx(), fmt.Sprintf("%sclosed:%s:%s", w.Slot.Prefix, partner.ID, purpose)).Result()
			require.NoError(t, err)
			facing[partner.ID] += strings.Join(members, "\n")
		}
		stops, err := w.client.HGetAll(ctx(), w.Slot.Prefix+"stops:"+partner.ID).Result()
		require.NoError(t, err)
		queue, err := w.client.ZRange(ctx(), w.Slot.Prefix+"queue:"+partner.ID, 0, -1).Result()
		require.NoError(t, err)
		facing[partner.ID] += fmt.Sprint(stops, queue)
	}
	for _, s := range people {
		for i, partner := range w.partners {
			require.NotContains(t, facing[partner.ID], s.Reveal()+"\"")
			require.NotContains(t, facing[partner.ID], s.Reveal()+" ")
			require.Contains(t, facing[partner.ID], string(partner.Current.Pseudonym(s)))
			require.NotContains(t, facing[w.partners[1-i].ID], string(partner.Current.Pseudonym(s)))
		}
	}
	require.NotContains(t, facing["home"]+facing["abroad"], "person-")
}

func TestAllKeysAreInTheSlot(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	w.refuses(t, slotstest.Subject(2))
	w.Drain(t, w.action)
	slotstest.RequireOneSlot(t, w.client, w.Slot.Prefix)
}

func TestRulesWithoutAffiliatesPurposesAreRefused(t *testing.T) {
	rules, err := events.ParseRules([]byte(`{"clockUncertaintyMs":500,"purposes":[]}`))
	require.NoError(t, err)
	_, err = affiliate.New(slotstest.Redis(t), rules, nil, nil)
	require.ErrorContains(t, err, "partner-contracts")
}
