package events

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// fold applies the events in order and returns the last outcome.
func fold(r *Rules, s State, log ...*Event) (State, Outcome) {
	var out Outcome
	for _, e := range log {
		s, out = r.Apply(s, e)
	}
	return s, out
}

// redriven returns e as it stands after a redrive: elsewhere and later, with
// the place it first had.
func redriven(e *Event, offset int64, appended Millis) *Event {
	again := *e
	again.First = e.Logged
	again.Logged = Stamp{Position{e.Logged.Position.Generation, e.Logged.Position.Partition, offset}, appended}
	return &again
}

// copied returns a late copy of e.
func copied(e *Event, offset int64, appended Millis) *Event {
	again := *e
	again.Logged = Stamp{Position{e.Logged.Position.Generation, e.Logged.Position.Partition, offset}, appended}
	return &again
}

var promotion = SetOf(4)

// An open gate without any restriction must not wipe out what an erasure joins.
func TestErasureKeepsWhatWasWithdrawnBeforeIt(t *testing.T) {
	r := SeedRules()
	grant := told(Granted, "web", "g", promotion, 5, 70_000, 70_001)
	erasure := told(SubjectErased, "web", "e", 0, 3, 1_000, 1_001)
	s, _ := fold(r, State{},
		told(AgreementStarted, "shop", "a", 0, 4, 60_000, 60_001),
		told(Withdrawn, "web", "w", promotion, 6, 75_000, 75_001),
		redriven(erasure, 7, 90_000),
		redriven(grant, 8, 91_000))
	require.False(t, r.Decide(s, "promotion").Allowed, "granted before it was withdrawn")
}

func TestErasureLeavesNothingAllowedUntilNewlyGranted(t *testing.T) {
	r := SeedRules()
	s, _ := fold(r, State{},
		told(AgreementStarted, "web", "1", 0, 0, 1_000, 1_001),
		told(Granted, "web", "2", r.All(), 1, 2_000, 2_001),
		told(SubjectErased, "web", "3", 0, 2, 3_000, 3_001))
	require.Equal(t, Standing{Stopped: r.All()}, r.Standing(s))
	require.Equal(t, Answer{Reason: ByErasure, Basis: Law, By: Version{1, 0, 2}}, r.Decide(s, "legal"))

	s, _ = r.Apply(s, told(Granted, "web", "4", promotion, 3, 4_000, 4_001))
	require.Equal(t, promotion|SetOf(3), r.Standing(s).Allowed, "known again: the law asks no consent")
	s, _ = r.Apply(s, told(Withdrawn, "web", "5", promotion, 4, 5_000, 5_001))
	require.Equal(t, SetOf(3), r.Standing(s).Allowed, "a withdrawal does not stop the law")
}
