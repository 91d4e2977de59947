package events

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// laidOut is a history whose log was laid out anew: what came before the barrier
// stands in generation 1, what came behind it in generation 2, where it begins
// behind the place at which states are entered.
type laidOut struct {
	before, behind []record
	entered        Version
}

// layOut cuts a history of one log in two and gives what is behind the cut its
// places in the other log, first places included.
func layOut(log []record, at int) laidOut {
	out := laidOut{before: slices.Clone(log[:at]), behind: slices.Clone(log[at:]), entered: Version{2, 5, 3}}
	moved := make(map[Position]Position)
	for i := range out.behind {
		e := &out.behind[i]
		place := Position{2, 5, out.entered.Offset + 1 + int64(2*i)}
		moved[e.Logged.Position], e.Logged.Position = place, place
		if first, ok := moved[e.First.Position]; ok && !e.First.IsZero() {
			e.First.Position = first
		}
	}
	return out
}

// carry folds the first part, carries what it comes to, and folds on.
func (l laidOut) carry(t failer, r *Rules, each func(i int, s State, e *record, out Outcome)) State {
	i := -1
	note := func(_, s State, e *record, out Outcome) {
		if i++; each != nil {
			each(i, s, e, out)
		}
	}
	s := foldLog(r, l.before, note)
	if !s.IsZero() {
		carried := Event{Type: StateCarried, Carried: s, Logged: Stamp{Position: l.entered}}
		next, out := r.Apply(State{}, &carried)
		require.Equal(t, Applied, out.Verdict)
		require.Equal(t, r.Standing(s), out.Standing, "carrying changes no answer")
		s = next
	}
	for n := range l.behind {
		e := &l.behind[n]
		if e.poison {
			continue
		}
		next, out := r.Apply(s, &e.Event)
		s = next
		note(State{}, s, e, out)
	}
	return s
}

// cuts are the places at which a history is cut: at its ends and in between.
func cuts(log []record) []int { return []int{0, len(log) / 3, len(log) / 2, len(log)} }

// Without redrives the carried log comes to just what one log would have: every
// answer at every step, whatever else goes wrong.
func TestCarriedStateAnswersAsOneLogWould(t *testing.T) {
	r := SeedRules()
	oneLog := honest
	oneLog.relaid, oneLog.redrives = false, false
	oneLog.hold(t, func(t failer, log []record) {
		t.Helper()
		var want []Standing
		foldLog(r, log, func(_, s State, _ *record, _ Outcome) { want = append(want, r.Standing(s)) })
		for _, at := range cuts(log) {
			layOut(log, at).carry(t, r, func(i int, s State, e *record, _ Outcome) {
				require.Equal(t, want[i], r.Standing(s), "cut at %d, after %v", at, e)
			})
		}
	})
}

// With every fault, redrives across the barrier among them: what is allowed was
// permitted after every restriction, and at the end nothing is allowed that one log
// would have denied. That is of the order, so every version covers everything here: a
// grant that is redriven across the barrier may come too late to stand in the place of
// an earlier one under another version. And whoever has an event parked is held.
//
// One log may deny more than it must: a restriction that comes late closes what it finds
// open, as if it had been decided after that. Where the barrier kept a redriven grant
// from opening, it finds nothing, and a later grant need not be later than that too.
func TestCarriedStateNeverAllowsWhatOneLogDenies(t *testing.T) {
	covered := map[PolicyVersion]PurposeSet{SeedPolicy: SeedRules().All()}
	for i := range 4 { // as histories name them
		covered[PolicyVersion(fmt.Sprint("v", i))] = SeedRules().All()
	}
	r, err := SeedRules().Covering(covered)
	require.NoError(t, err)
	oneLog := honest
	oneLog.relaid = false
	oneLog.hold(t, func(t failer, log []record) {
		t.Helper()
		opened := make(map[Ref]bool) // by one log
		one := foldLog(r, log, func(_, _ State, e *record, out Outcome) {
			opened[Ref{e.Source, e.ID}] = opened[Ref{e.Source, e.ID}] || e.Type == Granted && out.Verdict == Applied
		})
		for _, at := range cuts(log) {
			var w witness
			held := false
			may := r.Standing(one).Allowed
			end := layOut(log, at).carry(t, r, func(_ int, s State, e *record, out Outcome) {
				w.see(e, out)
				held = held || out.Verdict == Park && !out.Aside
				if out.Verdict == Superseded && opened[Ref{e.Source, e.ID}] {
					may |= e.Purposes
				}
				for c := range (r.Standing(s).Allowed & r.onConsent).Codes() {
					granted, stopped := w.consent(c)
					require.Greater(t, granted, stopped, "%s allowed after %v, cut at %d", r.byCode[c].Purpose, e, at)
				}
			})
			if !held {
				require.Zero(t, r.Standing(end).Allowed&^may, "cut at %d", at)
			}
		}
	})
}

// Entered once more, as by a carry that was interrupted: the same answers, at the
// later place. And what is there is not carried behind itself.
func TestCarryingAgainChangesNothing(t *testing.T) {
	r := SeedRules()
	honest.hold(t, func(t failer, log []record) {
		t.Helper()
		s := foldLog(r, log, nil)
		if s.IsZero() {
			return
		}
		enter := func(s State, of State, offset int64) (State, Outcome) {
			return r.Apply(s, &Event{Type: StateCarried, Carried: of, Logged: Stamp{Position: Position{3, 0, offset}}})
		}
		once, _ := enter(State{}, s, 1)
		twice, _ := enter(once, s, 2)
		direct, _ := enter(State{}, s, 2)
		require.Equal(t, direct, twice)
		again, out := enter(twice, s, 1)
		require.Equal(t, Repeated, out.Verdict)
		require.Equal(t, twice, again)
		back, err := ParseState(twice.Bytes())
		require.NoError(t, err)
		require.Equal(t, twice, back)
	})
}

func TestOnlyAStateOfAnEarlierGenerationIsCarried(t *testing.T) {
	r := SeedRules()
	promo, err := r.Set("promotion")
	require.NoError(t, err)
	s, _ := r.Apply(State{}, told(Granted, "web", "1", promo, 7, 1000, 1001))
	for name, c := range map[string]struct {
		state State
		to    Version
	}{
		"nobody's":            {State{}, Version{2, 0, 1}},
		"same generation":     {s, Version{1, 1, 1}},
		"an older generation": {s, Version{0, 0, 1}},
		"damaged":             {State{"damaged"}, Version{2, 0, 1}},
	} {
		_, err := r.Carry(c.state, c.to)
		require.ErrorIs(t, err, ErrState, name)
	}
	carried, err := r.Carry(s, Version{2, 4, 9})
	require.NoError(t, err)
	at, _ := carried.Version()
	require.Equal(t, Version{2, 4, 9}, at)
	answer := r.Decide(carried, "promotion")
	require.True(t, answer.Allowed)
	require.Zero(t, answer.By, "its event stands in another log")

	before := carried
	bad, out := r.Apply(carried, &Event{Type: StateCarried, Carried: State{"damaged"}, Logged: Stamp{Position: Position{2, 4, 10}}})
	require.Equal(t, Outcome{Verdict: Park, Reason: ReasonState}, out)
	require.Equal(t, before, bad)
}

func TestStagesOnlyGoForward(t *testing.T) {
	for _, c := range []struct {
		from, to Stage
		offset   int64
		want     Stage
		reason   string
	}{
		{StageOpen, StageOpening, 0, StageOpening, ""},
		{StageOpen, StageOpening, 7, StageOpen, ReasonBarrier}, // among decisions: it would stop them all
		{StageOpening, StageOpen, 7, StageOpen, ""},
		{StageOpen, StageOpen, 7, StageOpen, ReasonBarrier},
		{StageOpening, StageEnded, 7, StageOpening, ReasonBarrier},
		{StageOpen, StageEnded, 7, StageEnded, ""},
		{StageEnded, StageOpen, 7, StageEnded, ReasonBehindBarrier},
		{StageEnded, StageOpening, 0, StageEnded, ReasonBehindBarrier},
		{StageEnded, StageEnded, 7, StageEnded, ReasonBehindBarrier},
	} {
		got, reason := c.from.Turn(Barrier{2, 5, c.to}, Position{2, 5, c.offset})
		require.Equal(t, c.want, got, "%v", c)
		require.Equal(t, c.reason, reason, "%v", c)
	}
	for _, other := range []Barrier{{1, 5, StageEnded}, {2, 6, StageEnded}} { // as a mirrored or misrouted one would be
		got, reason := StageOpen.Turn(other, Position{2, 5, 7})
		require.Equal(t, StageOpen, got)
		require.Equal(t, ReasonBarrier, reason)
	}
	for _, s := range []Stage{StageOpen, StageOpening, StageEnded} {
		named, ok := ParseStage(s.String())
		require.True(t, ok)
		require.Equal(t, s, named)
		for _, typ := range append(Types(), StateCarried) {
			counts := s == StageOpen && typ != StateCarried || s == StageOpening && typ == StateCarried
			require.Equal(t, counts, s.Takes(typ) == "", "%v takes %v", s, typ)
		}
	}
	unknown, ok := ParseStage("")
	require.False(t, ok)
	require.Equal(t, StageEnded, unknown, "what is not known takes nothing")
}
