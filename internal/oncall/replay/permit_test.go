package replay_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/replay"
	"github.com/kelisim/kelisim/internal/oncall/window"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestReplayBringsBackOnlyWhatWasPlanned(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t, 60, 600)
	first, second := s.people[0], s.people[1]
	healthy := s.stored("marketing", first)
	s.damage("marketing", first, "")
	p := s.plan(replay.Selection{}, replay.Wish{})
	s.damage("marketing", second, "")
	_, err := s.apply(p, two)
	require.NoError(t, err)
	require.Equal(t, healthy, s.stored("marketing", first))
	p = s.plan(replay.Selection{}, replay.Wish{})
	require.Len(t, p.Mends, 1, "the second was not in the plan")
}

func TestAllowingNeedsPermissionAndASecondPerson(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t, 60, 600)
	granted, denied := s.person(true), s.person(false)
	s.damage("marketing", granted, "")
	// A state that allows, in place of one that does not.
	twin := s.twin(denied)
	s.damage("marketing", denied, twin)
	p := s.plan(replay.Selection{}, replay.Wish{})
	require.Len(t, p.Mends, 2)
	require.Equal(t, 1, p.Allows())
	require.Equal(t, 1, p.Count(replay.Deny, "marketing"))
	for text, o := range map[string]replay.Orders{
		"needs --permit-grants":                {Operator: "aigerim"},
		"a second operator must agree":         {Operator: "aigerim", PermitGrants: true, SecondOperator: " "},
		"another person than aigerim":          {Operator: "aigerim", PermitGrants: true, SecondOperator: " Aigerim"},
		"1 of the repairs would allow what is": {Operator: "aigerim", SecondOperator: "dana"},
	} {
		_, err := s.apply(p, o)
		require.ErrorContains(t, err, text)
		require.Equal(t, exit.Refused, exit.Code(err))
	}
	require.Equal(t, twin, s.stored("marketing", denied), "nothing of it was done")

	p = s.plan(replay.Selection{}, replay.Wish{OnlyDeny: true})
	require.Len(t, p.Mends, 1)
	report, err := s.apply(p, replay.Orders{Operator: "aigerim"})
	require.NoError(t, err, "closing needs nobody's permission")
	require.Equal(t, 1, report.Total().Mended)
	require.NotEqual(t, twin, s.stored("marketing", denied))
	p = s.plan(replay.Selection{}, replay.Wish{})
	require.Equal(t, 1, p.Allows())
}

// A guard may know versions of the policy that the tool does not.
func TestGrantUnderAVersionThatIsNotKnownCountsAsAllowing(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t, 20, 100)
	who, err := events.ParseSubject("newcomer")
	require.NoError(t, err)
	s.decideUnder("2031-01", who, events.Granted, "research")
	s.settle()
	s.damage("marketing", who, "")
	p := s.plan(replay.Selection{Window: window.Window{Subject: who}}, replay.Wish{})
	require.Len(t, p.Mends, 1)
	require.Equal(t, replay.Allow, p.Mends[0].Effect)
	require.Contains(t, p.Mends[0].Opens, events.Purpose("research"))
	_, err = s.apply(p, replay.Orders{Operator: "aigerim"})
	require.Equal(t, exit.Refused, exit.Code(err))
}

// What is repaired is put in front of the service's action only where that was asked for.
// The service rests meanwhile: one that runs may act once more on what it acted on.
func TestSideEffectsAreOffUnlessAsked(t *testing.T) {
	testenv.Parallel(t)
	for _, act := range []bool{false, true} {
		s := newScene(t, 60, 600)
		who := s.people[0]
		s.stop("marketing")
		s.damage("marketing", who, "")
		before := s.action.of(who)
		_, err := s.apply(s.plan(replay.Selection{}, replay.Wish{Act: act}), two)
		require.NoError(t, err)
		layout := s.bench.Caches["marketing"].Layout()
		waiting, err := s.client.ZRange(t.Context(), layout.Prefix(layout.PartitionOf(who))+"outbox", 0, -1).Result()
		require.NoError(t, err)
		if !act {
			require.Empty(t, waiting)
			s.start("marketing")
			s.decide(s.people[1], events.Withdrawn, "promotion") // something that is acted on behind it
			s.settle()
			require.Equal(t, before, s.action.of(who))
			continue
		}
		require.Equal(t, []string{who.Reveal()}, waiting)
		s.start("marketing")
		require.Eventually(t, func() bool { return s.action.of(who) > before }, 30*time.Second, 10*time.Millisecond)
	}
}
