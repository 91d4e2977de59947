package events

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheEndOfAnAgreementIsKnownUntilItIsStartedAnew(t *testing.T) {
	r := SeedRules()
	require.Equal(t, Agreement{}, r.Agreement(State{}))
	s := agreed(r)
	require.Equal(t, Agreement{Phase: Lives}, r.Agreement(s))
	s, _ = r.Apply(s, told(AgreementSuspended, "desk", "s", 0, 2, 3_000, 3_001))
	require.Equal(t, Agreement{Phase: OnHold}, r.Agreement(s))

	s, _ = r.Apply(s, told(AgreementEnded, "desk", "e", 0, 3, 4_000, 4_007))
	ended := Agreement{Phase: Over, Ended: 4_007, By: Version{1, 0, 3}}
	require.Equal(t, ended, r.Agreement(s))
	for name, e := range map[string]*Event{
		"a grant":               told(Granted, "web", "g2", promotion, 4, 9_000, 9_001),
		"a copy of its start":   told(AgreementStarted, "web", "a", 0, 4, 1_000, 9_001),
		"an import":             by(ByImport, told(AgreementStarted, "web", "i", 0, 4, 9_000, 9_001)),
		"resumed, not started":  told(AgreementResumed, "web", "r", 0, 4, 9_000, 9_001),
		"a copy of its end":     copied(told(AgreementEnded, "desk", "e", 0, 3, 4_000, 4_007), 4, 9_001),
		"another policy's text": told(PolicyAccepted, "web", "p", 0, 4, 9_000, 9_001),
	} {
		after, _ := r.Apply(s, e)
		require.Equal(t, ended, r.Agreement(after), name)
	}
	s, _ = r.Apply(s, told(AgreementStarted, "web", "b", 0, 5, 9_000, 9_001))
	require.Equal(t, OnHold, r.Agreement(s).Phase, "the clock stopped; the suspension is another matter")
}

// Retention is counted from the later of the two times: a clock that is years
// behind makes no erasure due today.
func TestAWrongClockMakesNoErasureDueEarly(t *testing.T) {
	r := SeedRules()
	now := Millis(1_800_000_000_000)
	s, _ := r.Apply(State{}, told(AgreementEnded, "desk", "e", 0, 0, 0, now))
	require.Equal(t, now, r.Agreement(s).Ended)
	s, _ = r.Apply(s, told(AgreementEnded, "shop", "f", 0, 1, 0, now+5_000))
	require.Equal(t, now+5_000, r.Agreement(s).Ended, "ended twice")
	s, _ = r.Apply(s, told(SubjectErased, "desk", "x", 0, 2, now+6_000, now+6_001))
	require.Equal(t, Agreement{}, r.Agreement(s))
}

func TestAnErasureStandsUntilSomethingIsPermitted(t *testing.T) {
	r := SeedRules()
	s, _ := r.Apply(agreed(r), told(SubjectErased, "desk", "x", 0, 2, 3_000, 3_001))
	erased := Erasure{Came: true, Stands: true, At: 3_001, By: Version{1, 0, 2}}
	require.Equal(t, erased, r.Erasure(s))
	for name, e := range map[string]*Event{
		"an import":     by(ByImport, told(Granted, "upstream", "i", promotion, 3, 9_000, 9_001)),
		"an acceptance": by(ContinuedUse, told(PolicyAccepted, "role", "p", 0, 3, 9_000, 9_001)),
		"a late grant":  told(Granted, "web", "g", promotion, 3, 2_000, 9_001),
		"an unblock":    told(Unblocked, "web", "u", 0, 3, 9_000, 9_001),
		"a withdrawal":  told(Withdrawn, "web", "w", promotion, 3, 9_000, 9_001),
	} {
		after, _ := r.Apply(s, e)
		require.Equal(t, erased, r.Erasure(after), name)
	}
	s, _ = r.Apply(s, told(Granted, "web", "n", promotion, 3, 9_000, 9_001))
	require.Equal(t, Erasure{Came: true}, r.Erasure(s))
	require.Equal(t, Erasure{}, r.Erasure(agreed(r)))
}

func TestABlockFreezesWhateverItLiesOver(t *testing.T) {
	r := SeedRules()
	require.False(t, r.Frozen(State{}))
	for _, over := range []PurposeSet{0, promotion} {
		s, _ := r.Apply(agreed(r), told(Blocked, "desk", "b", over, 2, 3_000, 3_001))
		require.True(t, r.Frozen(s))
		s, _ = r.Apply(s, told(Unblocked, "desk", "u", over, 3, 4_000, 4_001))
		require.False(t, r.Frozen(s))
	}
	s, _ := r.Apply(agreed(r), told(AgreementSuspended, "desk", "s", 0, 2, 3_000, 3_001))
	require.False(t, r.Frozen(s), "a suspension freezes no erasure")
}

func TestAReviewIsOpenWhileItsRefusalStands(t *testing.T) {
	r := SeedRules()
	request := told(WithdrawalRequested, "web", "r", partners, 1, 2_000, 2_001)
	refusal := told(WithdrawalRefused, "desk", "f", partners, 2, 3_000, 3_001)
	refusal.Request, refusal.ReviewBy = Ref{"web", "r"}, 77_000
	s, _ := fold(r, State{}, told(Granted, "web", "g", partners, 0, 1_000, 1_001), request)
	require.Empty(t, r.Reviews(s), "not decided")
	s, _ = r.Apply(s, refusal)
	require.Equal(t, []Review{{"partner-contracts", 77_000}}, r.Reviews(s))

	for name, e := range map[string]*Event{
		"withdrawn":       told(Withdrawn, "web", "w", partners, 3, 9_000, 9_001),
		"requested again": told(WithdrawalRequested, "web", "r2", partners, 3, 9_000, 9_001),
		"granted anew":    told(Granted, "web", "g2", partners, 3, 9_000, 9_001),
		"erased":          told(SubjectErased, "desk", "x", 0, 3, 9_000, 9_001),
	} {
		after, _ := r.Apply(s, e)
		require.Empty(t, r.Reviews(after), name)
	}
	never, _ := fold(r, State{}, request, refusal)
	require.Empty(t, r.Reviews(never), "nothing goes on that was never granted")
}

func TestTheLastAcceptedVersionIsKnownAndWhetherInSoManyWords(t *testing.T) {
	r := SeedRules()
	accepts := func(m Method, v PolicyVersion, at int64) *Event {
		e := told(PolicyAccepted, "web", string(v), 0, at, Millis(1_000*(at+1)), Millis(1_000*(at+1)+1))
		e.Policy = v
		return by(m, e)
	}
	s, _ := fold(r, State{}, accepts(ByPerson, "1", 0), accepts(ContinuedUse, "2", 1))
	for v, want := range map[PolicyVersion][2]bool{"1": {false, true}, "2": {true, false}, "3": {}, "": {}} {
		last, explicit := r.Accepted(s, v)
		require.Equal(t, want, [2]bool{last, explicit}, "version %q", v)
	}
	last, explicit := r.Accepted(State{}, "")
	require.False(t, last || explicit)
}

// Whatever happened, what is said of the affairs is what the answers say.
func TestAffairsAgreeWithTheAnswers(t *testing.T) {
	r := SeedRules()
	honest.hold(t, func(t failer, log []record) {
		t.Helper()
		foldLog(r, log, func(_, s State, e *record, _ Outcome) {
			service := r.Decide(s, "service")
			if !r.Frozen(s) {
				phases := map[Reason]Phase{ByContract: Lives, AgreementOver: Over, NoAgreement: NoneYet, ByErasure: NoneYet, UnknownSubject: NoneYet}
				if phase, certain := phases[service.Reason]; certain {
					require.Equal(t, phase, r.Agreement(s).Phase, "%v", e)
				} else {
					require.Equal(t, Suspended, service.Reason)
					require.Contains(t, []Phase{OnHold, NoneYet}, r.Agreement(s).Phase, "%v", e)
				}
				require.Equal(t, r.Erasure(s).Stands, r.Decide(s, "legal").Reason == ByErasure, "%v", e)
			}
			for _, open := range r.Reviews(s) {
				require.Contains(t, []Reason{ByGrant, ByBlock, PolicyUnknown, PolicyOutdated}, r.Decide(s, open.Purpose).Reason, "%v", e)
			}
		})
	})
}
