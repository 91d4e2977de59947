package targeting_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/consumers/targeting"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/testenv"
)

// world is a targeting service with one partition, its team and its segments.
type world struct {
	*slotstest.Engine
	client *redis.Client
	action *targeting.Action
	desk   *targeting.Desk
	acted  targeting.Acted // all scripts together
}

var segments = map[string]events.Purpose{"night-owls": "personalisation", "car-buyers": "targeted-ads", "early-birds": "personalisation"}

func ctx() context.Context { return context.Background() }

func newWorld(t slotstest.T, client *redis.Client) *world {
	t.Helper()
	all := slotstest.Slots(targeting.Name, 1)
	w := &world{Engine: slotstest.NewEngine(client, all[0]), client: client}
	var err error
	w.action, err = targeting.New(client, w.Rules, func(a targeting.Acted) {
		w.acted.Turns += a.Turns
		w.acted.Late += a.Late
		w.acted.Forgotten += a.Forgotten
		w.acted.LeftSegments += a.LeftSegments
		w.acted.Defaulted += a.Defaulted
		w.acted.Cleared += a.Cleared
	})
	require.NoError(t, err)
	w.desk, err = targeting.Open(client, all)
	require.NoError(t, err)
	for name, purpose := range segments {
		require.NoError(t, w.desk.Register(ctx(), name, purpose))
	}
	return w
}

func (w *world) agrees(t slotstest.T, s events.Subject) consumers.Turn {
	return w.Decide(t, s, w.Standing(t, targeting.Purposes(), nil))
}

func (w *world) refuses(t slotstest.T, s events.Subject) consumers.Turn {
	return w.Decide(t, s, w.Standing(t, nil, targeting.Purposes()))
}

// know learns something of subjects for every purpose and puts them in every segment.
func (w *world) know(t slotstest.T, subjects ...events.Subject) {
	t.Helper()
	for name := range segments {
		got, err := w.desk.Join(ctx(), name, subjects...)
		require.NoError(t, err)
		require.Equal(t, len(subjects), got.Joined)
	}
	for _, purpose := range targeting.Purposes() {
		for _, s := range subjects {
			learned, err := w.desk.Learn(ctx(), purpose, s, map[string]string{"seen": "42", "genre": "drama"})
			require.NoError(t, err)
			require.True(t, learned)
		}
	}
}

// knows says whether features of a subject are stored.
func (w *world) knows(t slotstest.T, purpose events.Purpose, s events.Subject) bool {
	t.Helper()
	n, err := w.client.Exists(ctx(), w.Slot.Prefix+"features:"+string(purpose)+":"+s.Reveal()).Result()
	require.NoError(t, err)
	return n == 1
}

func (w *world) profile(t slotstest.T, purpose events.Purpose, s events.Subject) targeting.Profile {
	t.Helper()
	p, err := w.desk.Profile(ctx(), purpose, s)
	require.NoError(t, err)
	return p
}

func TestStopDeletesFeaturesAndMembershipsOfThePurpose(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	leaver, stayer := slotstest.Subject(1), slotstest.Subject(2)
	w.know(t, leaver, stayer)
	w.Decide(t, leaver, w.Standing(t, []events.Purpose{"targeted-ads", "new-services"}, []events.Purpose{"personalisation"}))
	w.Drain(t, w.action)

	require.False(t, w.knows(t, "personalisation", leaver))
	require.Equal(t, targeting.Profile{Defaulted: true, Features: map[string]string{}}, w.profile(t, "personalisation", leaver))
	require.True(t, w.profile(t, "targeted-ads", leaver).Personal)
	for name, purpose := range segments {
		m, err := w.desk.Member(ctx(), name, leaver)
		require.NoError(t, err)
		gone := purpose == "personalisation"
		require.Equal(t, targeting.Membership{In: !gone, Defaulted: gone}, m, name)
		m, err = w.desk.Member(ctx(), name, stayer)
		require.NoError(t, err)
		require.Equal(t, targeting.Membership{In: true}, m, name)
	}
	require.Equal(t, map[string]string{"seen": "42", "genre": "drama"}, w.profile(t, "personalisation", stayer).Features)
	require.Equal(t, targeting.Acted{Turns: 1, Forgotten: 1, LeftSegments: 2, Defaulted: 1}, w.acted)
}

func TestAgreeingAgainClearsTheDefaultAndRemembersNothing(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	w.know(t, s)
	w.refuses(t, s)
	w.Drain(t, w.action)
	w.agrees(t, s)
	w.Drain(t, w.action)
	require.Equal(t, targeting.Profile{Personal: true, Features: map[string]string{}}, w.profile(t, "personalisation", s))
	require.Equal(t, 3, w.acted.Cleared)
	w.know(t, s)
}

func TestUndecidedPurposeIsForgottenButNotDefaulted(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	w.know(t, s)
	w.Decide(t, s, w.Standing(t, []events.Purpose{"personalisation"}, nil))
	w.Drain(t, w.action)
	require.False(t, w.knows(t, "targeted-ads", s), "nobody allowed it")
	require.False(t, w.profile(t, "targeted-ads", s).Defaulted, "nobody stopped it")
	require.True(t, w.knows(t, "personalisation", s))
}

func TestRepeatedTurnsChangeNothing(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	w.know(t, s)
	turn := w.refuses(t, s)
	require.NoError(t, w.action.Act(ctx(), w.Slot, []consumers.Turn{turn, turn}))
	first := w.acted
	require.NoError(t, w.action.Act(ctx(), w.Slot, []consumers.Turn{turn}))
	first.Turns++
	require.Equal(t, first, w.acted)
}

func TestLateTurnOfAnOldOwnerUndoesNothing(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	late := w.agrees(t, s)
	w.refuses(t, s)
	turns := w.Pending(t)
	require.NoError(t, w.action.Act(ctx(), w.Slot, turns))
	require.NoError(t, w.action.Act(ctx(), w.Slot, []consumers.Turn{late}))
	w.Done(t, turns)
	require.NoError(t, w.action.Act(ctx(), w.Slot, []consumers.Turn{late}))
	require.True(t, w.profile(t, "personalisation", s).Defaulted)
	require.Equal(t, 2, w.acted.Late)
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
			_, err := w.desk.Join(ctx(), "night-owls", all...)
			require.NoError(t, err)
			for _, s := range all {
				w.refuses(t, s)
			}
			broken := server.Client(t)
			broken.AddHook(breaker)
			fragile, err := targeting.New(broken, w.Rules, nil)
			require.NoError(t, err)
			require.ErrorIs(t, fragile.Act(ctx(), w.Slot, w.Pending(t)), slotstest.ErrBroken)

			w.Drain(t, w.action)
			require.Zero(t, w.client.SCard(ctx(), w.Slot.Prefix+"segment:night-owls").Val())
			require.EqualValues(t, people, w.client.SCard(ctx(), w.Slot.Prefix+"default:personalisation").Val())
		})
	}
}

func TestSpoiledKeyDelaysNobodyElsesStop(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	w.know(t, s)
	for _, spoiled := range []string{"segment:car-buyers", "features:personalisation:" + s.Reveal()} {
		require.NoError(t, w.client.Del(ctx(), w.Slot.Prefix+spoiled).Err())
		require.NoError(t, w.client.Set(ctx(), w.Slot.Prefix+spoiled, "of another type", 0).Err())
	}
	err := w.action.Act(ctx(), w.Slot, []consumers.Turn{w.refuses(t, s)})
	require.ErrorContains(t, err, "segment:car-buyers")
	require.NotContains(t, err.Error(), s.Reveal())
	require.False(t, w.knows(t, "personalisation", s))
	m, err := w.desk.Member(ctx(), "early-birds", s)
	require.NoError(t, err)
	require.False(t, m.In)
}

func TestSegmentOfAnotherServicesPurposeIsForNobody(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	s := slotstest.Subject(1)
	require.NoError(t, w.client.HSet(ctx(), w.Slot.Prefix+"segments", "odd", "promotion").Err())
	require.NoError(t, w.client.SAdd(ctx(), w.Slot.Prefix+"segment:odd", s.Reveal()).Err())
	w.agrees(t, s)
	w.Drain(t, w.action)
	require.Zero(t, w.client.SCard(ctx(), w.Slot.Prefix+"segment:odd").Val())
}

func TestAllKeysAreInTheSlot(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	w.know(t, slotstest.Subject(1), slotstest.Subject(2))
	w.refuses(t, slotstest.Subject(2))
	w.Drain(t, w.action)
	slotstest.RequireOneSlot(t, w.client, w.Slot.Prefix)
}

func TestRulesWithoutTargetingsPurposesAreRefused(t *testing.T) {
	rules, err := events.ParseRules([]byte(`{"clockUncertaintyMs":500,"purposes":[]}`))
	require.NoError(t, err)
	_, err = targeting.New(slotstest.Redis(t), rules, nil)
	require.ErrorContains(t, err, "personalisation")
}
