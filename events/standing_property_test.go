package events

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// wild is honest with clocks that may be minutes wrong. What is said of single
// steps holds in it too.
var wild = func() world {
	w := honest
	w.skew = 240_000
	return w
}()

func TestRestrictionNeverAllowsMore(t *testing.T) {
	r := SeedRules()
	byLaw := r.all &^ r.onConsent &^ r.onContract // to be heard of is enough
	wild.hold(t, func(t failer, log []record) {
		t.Helper()
		foldLog(r, log, func(before, after State, e *record, out Outcome) {
			had, has := r.Standing(before).Allowed, r.Standing(after).Allowed
			if before.IsZero() {
				had |= byLaw
			}
			if e.Type.Restricts() || e.Type == PolicyAccepted || out.Verdict != Applied {
				require.Zero(t, has&^had, "%v allowed %v", e, r.Names(has&^had))
			}
		})
	})
}

// A permission closes nothing either, and both leave alone what they do not name.
func TestAbsentPurposesStayAsTheyAre(t *testing.T) {
	r := SeedRules()
	oneLog := wild
	oneLog.relaid = false // answers would lose their position
	oneLog.hold(t, func(t failer, log []record) {
		t.Helper()
		foldLog(r, log, func(before, after State, e *record, _ Outcome) {
			var named PurposeSet
			switch e.Type {
			case Granted, Withdrawn, WithdrawalRequested, WithdrawalRefused:
				named = e.Purposes & r.onConsent
			case AgreementStarted, AgreementSuspended, AgreementResumed, AgreementEnded:
				named = r.onContract
			case Blocked, Unblocked:
				if named = e.Purposes; named == 0 {
					named = r.all
				}
			case SubjectErased:
				named = r.all
			}
			switch {
			case before.IsZero(), e.Type == Granted, e.Type == AgreementStarted, e.Type == WithdrawalRefused:
				named |= r.all &^ r.onConsent &^ r.onContract // the subject becomes known, or known again
			}
			had, has := answers(r, before), answers(r, after)
			for _, p := range r.Names(r.all &^ named) {
				if before.IsZero() {
					require.False(t, has[p].Allowed, "%v changed %s", e, p)
					continue
				}
				require.Equal(t, had[p], has[p], "%v changed %s", e, p)
			}
		})
	})
}

func TestApplyIsPure(t *testing.T) {
	r, other := SeedRules(), SeedRules()
	wild.hold(t, func(t failer, log []record) {
		t.Helper()
		foldLog(r, log, func(before, after State, e *record, out Outcome) {
			bytes, event := before.Bytes(), e.Event
			again, outAgain := other.Apply(before, &e.Event)
			require.Equal(t, after, again)
			require.Equal(t, out, outAgain)
			require.Equal(t, bytes, before.Bytes())
			require.Equal(t, event, e.Event)
		})
	})
}

// Changed and Standing of an outcome, by which the engine writes and acts, say
// what the states say.
func TestOutcomeSaysWhatChanged(t *testing.T) {
	r := SeedRules()
	wild.hold(t, func(t failer, log []record) {
		t.Helper()
		foldLog(r, log, func(before, after State, e *record, out Outcome) {
			require.Equal(t, before != after, out.Changed, "%v: %v", e, out.Verdict)
			if !out.Changed {
				return
			}
			require.Equal(t, r.Standing(after), out.Standing)
			version, ok := after.Version()
			require.True(t, ok)
			require.Equal(t, e.Logged.Position, version)
		})
	})
}
