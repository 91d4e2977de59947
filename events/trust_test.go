package events

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func by(m Method, e *Event) *Event {
	e.Method = m
	return e
}

// After CJEU C-129/21 (Proximus): a person opted out, and the next refresh of an
// upstream system's data put the person back.
func TestAnUpstreamRefreshNeverBringsAPersonBack(t *testing.T) {
	r := SeedRules()
	s, _ := fold(r, State{},
		told(Granted, "web", "g", promotion, 0, 1_000, 1_001),
		told(Withdrawn, "web", "w", promotion, 1, 2_000, 2_001))
	for _, m := range []Method{ByImport, ByMerge, ContinuedUse, 0, 99} {
		after, out := r.Apply(s, by(m, told(Granted, "upstream", "refresh", promotion, 2, 9_000, 9_001)))
		require.Equal(t, Outcome{Verdict: Park, Reason: ReasonTrust, Aside: true}, out, "%v", m)
		require.Equal(t, s, after, "%v", m)
	}
	after, _ := r.Apply(s, by(ByStaff, told(Granted, "desk", "call", promotion, 2, 9_000, 9_001)))
	require.True(t, r.Decide(after, "promotion").Allowed, "what an employee recorded is the person's own decision")
}

// Imports, merges and continued use may restrict at any time, and nothing that
// they say ever allows more.
func TestSourcesOfLesserTrustOnlyRestrict(t *testing.T) {
	r := SeedRules()
	wild.hold(t, func(t failer, log []record) {
		t.Helper()
		foldLog(r, log, func(before, after State, e *record, out Outcome) {
			if e.Method.isExplicit() {
				return
			}
			if e.Type.Restricts() {
				require.NotEqual(t, ReasonTrust, out.Reason, "%v waits for nothing", e)
			}
			byLaw := r.all &^ r.onConsent &^ r.onContract // to be heard of is enough
			require.Zero(t, r.Standing(after).Allowed&^r.Standing(before).Allowed&^byLaw, "%v allowed more", e)
		})
	})
}

func TestAWithdrawalByWhateverMethodStops(t *testing.T) {
	r := SeedRules()
	for m := Method(0); m <= ContinuedUse+1; m++ {
		s, _ := fold(r, State{},
			told(Granted, "web", "g", promotion, 0, 1_000, 1_001),
			by(m, told(Withdrawn, "any", "w", promotion, 1, 2_000, 2_001)))
		require.Equal(t, ByWithdrawal, r.Decide(s, "promotion").Reason, "%v", m)
	}
}

func TestMethodsReadBack(t *testing.T) {
	for m := ByPerson; m <= ContinuedUse; m++ {
		require.Equal(t, m, ParseMethod(m.String()))
	}
	require.Zero(t, ParseMethod("unknown"))
	require.Zero(t, ParseMethod(""))
}
