package events

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// agreed is a person whose agreement lives and who consented to promotion.
func agreed(r *Rules) State {
	s, _ := fold(r, State{},
		told(AgreementStarted, "web", "a", 0, 0, 1_000, 1_001),
		told(Granted, "web", "g", promotion, 1, 2_000, 2_001))
	return s
}

func TestASuspendedAgreementStopsWhatRestsOnItAndNothingElse(t *testing.T) {
	r := SeedRules()
	s, out := r.Apply(agreed(r), told(AgreementSuspended, "desk", "s", 0, 2, 3_000, 3_001))
	require.Equal(t, Applied, out.Verdict)
	require.Equal(t, Answer{Reason: Suspended, Basis: Contract, By: Version{1, 0, 2}}, r.Decide(s, "service"))
	require.Equal(t, Suspended, r.Decide(s, "notices").Reason)
	require.True(t, r.Decide(s, "promotion").Allowed)
	require.True(t, r.Decide(s, "legal").Allowed)
	require.Equal(t, r.onContract, out.Standing.Stopped)
	require.Equal(t, "agreement-suspended", Suspended.String())

	s, _ = r.Apply(s, told(AgreementResumed, "desk", "r", 0, 3, 4_000, 4_001))
	require.Equal(t, ByContract, r.Decide(s, "service").Reason)
}

func TestASuspensionIsLaidWithOneKeyAndLiftedWithTwo(t *testing.T) {
	r := SeedRules()
	lift := told(AgreementResumed, "web", "r", 0, 3, 4_000, 4_001)
	s, out := fold(r, agreed(r), lift, told(AgreementSuspended, "desk", "s", 0, 4, 3_900, 5_001))
	require.Equal(t, Applied, out.Verdict)
	require.Equal(t, Suspended, r.Decide(s, "service").Reason, "laid late, and laid all the same")

	for name, again := range map[string]*Event{
		"decided before it":             told(AgreementResumed, "desk", "x", 0, 5, 3_000, 6_001),
		"of another clock, too soon":    told(AgreementResumed, "web", "x", 0, 5, 5_400, 5_401),
		"a copy":                        copied(lift, 5, 9_001),
		"the agreement started anew":    told(AgreementStarted, "web", "x", 0, 5, 9_000, 9_001),
		"nobody's decision":             by(ByImport, told(AgreementResumed, "desk", "x", 0, 5, 9_000, 9_001)),
		"use goes on, which is no word": by(ContinuedUse, told(AgreementResumed, "desk", "x", 0, 5, 9_000, 9_001)),
	} {
		after, _ := r.Apply(s, again)
		require.Equal(t, Suspended, r.Decide(after, "service").Reason, name)
	}
	s, _ = r.Apply(s, told(AgreementResumed, "web", "y", 0, 5, 9_000, 9_001))
	require.True(t, r.Decide(s, "service").Allowed)
}

// A suspension goes with no agreement, and an agreement that ended is over,
// suspended or not.
func TestASuspensionNeitherEndsAnAgreementNorKeepsOne(t *testing.T) {
	r := SeedRules()
	laid := told(AgreementSuspended, "desk", "s", 0, 2, 3_000, 3_001)
	s, _ := fold(r, agreed(r), laid, told(AgreementEnded, "desk", "e", 0, 3, 4_000, 4_001))
	require.Equal(t, AgreementOver, r.Decide(s, "service").Reason)
	s, _ = r.Apply(s, told(AgreementResumed, "desk", "r", 0, 4, 5_000, 5_001))
	require.Equal(t, AgreementOver, r.Decide(s, "service").Reason, "what is resumed has not begun anew")

	s, _ = r.Apply(State{}, told(AgreementSuspended, "desk", "s", 0, 0, 1_000, 1_001))
	require.Equal(t, Suspended, r.Decide(s, "service").Reason)
	s, _ = r.Apply(s, told(AgreementStarted, "web", "a", 0, 1, 9_000, 9_001))
	require.Equal(t, Suspended, r.Decide(s, "service").Reason, "laid before it began")
}

func TestAnErasureForgetsTheSuspension(t *testing.T) {
	r := SeedRules()
	laid := told(AgreementSuspended, "desk", "s", 0, 2, 3_000, 3_001)
	s, _ := fold(r, agreed(r), laid, told(SubjectErased, "desk", "x", 0, 3, 4_000, 4_001))
	require.Equal(t, ByErasure, r.Decide(s, "service").Reason)
	s, _ = fold(r, s, told(AgreementStarted, "web", "b", 0, 4, 9_000, 9_001), copied(laid, 5, 9_500))
	require.True(t, r.Decide(s, "service").Allowed, "a copy from before the erasure changes nothing")
}
