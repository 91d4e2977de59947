package events

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// under names the policy version of a grant or an acceptance.
func under(v PolicyVersion, e *Event) *Event {
	e.Policy = v
	return e
}

// widened are rules under which version 2 is in force and asks for more than
// version 1 did for promotion alone.
func widened(t *testing.T) (one, two *Rules) {
	one, err := SeedRules().Covering(map[PolicyVersion]PurposeSet{"1": SeedRules().All()})
	require.NoError(t, err)
	two, err = SeedRules().Covering(map[PolicyVersion]PurposeSet{"1": SeedRules().All() &^ promotion, "2": SeedRules().All()})
	require.NoError(t, err)
	return one, two
}

func TestAWiderPolicyDeniesUntilAcceptedInSoManyWords(t *testing.T) {
	one, two := widened(t)
	research := SetOf(11)
	s, _ := fold(one, State{}, under("1", told(Granted, "web", "g", promotion|research, 0, 1_000, 1_001)))
	require.True(t, one.Decide(s, "promotion").Allowed)
	require.Equal(t, Answer{Reason: PolicyOutdated, Basis: Consent, By: Version{1, 0, 0}}, two.Decide(s, "promotion"))
	require.True(t, two.Decide(s, "research").Allowed, "it asks no more than before")
	require.Equal(t, promotion, two.Standing(s).Stopped)

	deemed, out := two.Apply(s, by(ContinuedUse, under("2", told(PolicyAccepted, "policy", "d", 0, 1, 9_000, 9_001))))
	require.Equal(t, Applied, out.Verdict)
	require.Equal(t, PolicyOutdated, two.Decide(deemed, "promotion").Reason, "use moves the accepted version and nothing else")

	accepted, _ := two.Apply(deemed, under("2", told(PolicyAccepted, "web", "a", 0, 2, 19_000, 19_001)))
	require.True(t, two.Decide(accepted, "promotion").Allowed)
	withdrawn, _ := two.Apply(accepted, told(Withdrawn, "web", "w", promotion, 3, 29_000, 29_001))
	again, _ := two.Apply(withdrawn, under("2", told(PolicyAccepted, "web", "b", 0, 4, 39_000, 39_001)))
	require.Equal(t, ByWithdrawal, two.Decide(again, "promotion").Reason, "no acceptance opens what was withdrawn")

	granted, _ := two.Apply(s, under("2", told(Granted, "web", "g2", promotion, 1, 9_000, 9_001)))
	require.True(t, two.Decide(granted, "promotion").Allowed)
}

// Who accepted the wide version, and consents to the narrow one afterwards, has
// consented to the narrow one.
func TestAnAcceptanceWidensOnlyGrantsBeforeIt(t *testing.T) {
	_, two := widened(t)
	accept := func(source string, offset int64, decided Millis) *Event {
		return under("2", told(PolicyAccepted, source, "a", 0, offset, decided, decided+1))
	}
	grant := func(offset int64, decided, appended Millis) *Event {
		return under("1", told(Granted, "web", "g", promotion, offset, decided, appended))
	}
	withdrawal := told(Withdrawn, "web", "w", promotion, 1, 9_000, 9_001)
	for name, c := range map[string]struct {
		life []*Event
		want Reason
	}{
		"accepted, withdrawn, granted under the old one":     {[]*Event{accept("web", 0, 1_000), withdrawal, grant(2, 19_000, 19_001)}, PolicyOutdated},
		"accepted, granted under the old one":                {[]*Event{accept("web", 0, 1_000), grant(1, 9_000, 9_001)}, PolicyOutdated},
		"granted, accepted":                                  {[]*Event{grant(0, 1_000, 1_001), accept("web", 1, 9_000)}, ByGrant},
		"granted, accepted elsewhere":                        {[]*Event{grant(0, 1_000, 1_001), accept("desk", 1, 9_000)}, ByGrant},
		"granted, accepted elsewhere within the uncertainty": {[]*Event{grant(0, 1_000, 1_001), accept("desk", 1, 1_400)}, PolicyOutdated},
		"granted by a clock that is behind, after accepting": {[]*Event{accept("desk", 0, 9_000), grant(1, 1_000, 19_001)}, PolicyOutdated},
		"granted, and delayed behind the acceptance":         {[]*Event{accept("web", 0, 9_000), grant(1, 1_000, 19_001)}, PolicyOutdated},
		"accepted, granted under the old one in one batch":   {[]*Event{accept("web", 0, 5_000), grant(1, 4_000, 5_001)}, PolicyOutdated},
		"granted anew under the old one":                     {[]*Event{grant(0, 1_000, 1_001), accept("web", 1, 9_000), under("1", told(Granted, "web", "g2", promotion, 2, 19_000, 19_001))}, PolicyOutdated},
		"granted anew under the new one":                     {[]*Event{accept("web", 0, 1_000), under("2", told(Granted, "web", "g2", promotion, 1, 9_000, 9_001))}, ByGrant},
	} {
		s, _ := fold(two, State{}, c.life...)
		require.Equal(t, c.want, two.Decide(s, "promotion").Reason, name)
		require.Equal(t, c.want == ByGrant, two.Standing(s).Allowed.Has(4), name)
		carried, err := two.Carry(s, Version{2, 0, 1})
		require.NoError(t, err)
		require.Equal(t, c.want, two.Decide(carried, "promotion").Reason, "%s, and carried", name)
	}
	t.Run("and goes on to when the log is laid out anew", func(t *testing.T) {
		s, _ := fold(two, State{}, grant(0, 1_000, 1_001), accept("web", 1, 9_000))
		next := told(Granted, "web", "n", SetOf(11), 0, 19_000, 19_001)
		next.Logged.Position = Position{Generation: 2}
		s, _ = two.Apply(s, next)
		require.True(t, two.Decide(s, "promotion").Allowed)
	})
}

func TestAGrantUnderAnUnknownVersionIsKeptAndDenies(t *testing.T) {
	one, two := widened(t)
	s, out := one.Apply(State{}, under("2", told(Granted, "web", "g", promotion, 0, 1_000, 1_001)))
	require.Equal(t, Applied, out.Verdict)
	require.Equal(t, PolicyUnknown, one.Decide(s, "promotion").Reason)
	require.True(t, two.Decide(s, "promotion").Allowed, "the version arrived")
	for _, v := range []PolicyVersion{"", "3"} {
		s, _ := two.Apply(State{}, under(v, told(Granted, "web", "g", promotion, 0, 1_000, 1_001)))
		require.Equal(t, PolicyUnknown, two.Decide(s, "promotion").Reason, "%q", v)
	}
}

// Deemed acceptance never creates or widens a grant, in any history, whatever is
// in force.
func TestContinuedUseNeverAllowsMore(t *testing.T) {
	rules, err := SeedRules().Covering(map[PolicyVersion]PurposeSet{SeedPolicy: SeedRules().All() &^ promotion, "v1": SeedRules().All()})
	require.NoError(t, err)
	wild.hold(t, func(t failer, log []record) {
		t.Helper()
		foldLog(rules, log, func(before, after State, e *record, _ Outcome) {
			if e.Type == PolicyAccepted && e.Method == ContinuedUse && !before.IsZero() {
				require.Zero(t, rules.Standing(after).Allowed&^rules.Standing(before).Allowed, "%v allowed more", e)
			}
		})
	})
}

// Whatever is published, consent covers no more purposes than were granted: rules
// that know fewer versions allow no more.
func TestAMissingPublicationNeverAllows(t *testing.T) {
	all := SeedRules()
	none, err := all.Covering(nil)
	require.NoError(t, err)
	wild.hold(t, func(t failer, log []record) {
		t.Helper()
		s := foldLog(all, log, nil)
		require.Equal(t, s, foldLog(none, log, nil), "the states do not depend on what is published")
		require.Zero(t, none.Standing(s).Allowed&none.onConsent)
		require.Zero(t, none.Standing(s).Allowed&^all.Standing(s).Allowed)
	})
}

func TestVersionsWithOneHashAreRefused(t *testing.T) {
	known := map[policyRef]PolicyVersion{}
	for i := 0; ; i++ {
		v := PolicyVersion(fmt.Sprint("v", i))
		other, taken := known[policyRefOf(v)]
		if known[policyRefOf(v)] = v; !taken {
			continue
		}
		_, err := SeedRules().Covering(map[PolicyVersion]PurposeSet{v: 1, other: 1})
		require.ErrorContains(t, err, "same hash")
		break
	}
	_, err := SeedRules().Covering(map[PolicyVersion]PurposeSet{"": 1})
	require.ErrorContains(t, err, "policy version")
}

func TestARefusalsReviewIsKeptUntilThePersonDecidesAnew(t *testing.T) {
	r := SeedRules()
	partners := SetOf(2)
	review := func(s State) Millis {
		var l ledger
		require.NoError(t, s.read(&l))
		return l.find(consentGate + 2).review
	}
	refusal := told(WithdrawalRefused, "desk", "r", partners, 2, 3_000, 3_001)
	refusal.Request, refusal.ReviewBy = Ref{"web", "q"}, 90_000
	s, _ := fold(r, State{},
		told(Granted, "web", "g", partners, 0, 1_000, 1_001),
		told(WithdrawalRequested, "web", "q", partners, 1, 2_000, 2_001),
		refusal)
	require.True(t, r.Decide(s, "partner-contracts").Allowed)
	require.Equal(t, Millis(90_000), review(s))
	withdrawn, _ := r.Apply(s, told(Withdrawn, "web", "w", partners, 3, 9_000, 9_001))
	require.Zero(t, review(withdrawn))
	granted, _ := r.Apply(s, told(Granted, "web", "g2", partners, 3, 9_000, 9_001))
	require.Zero(t, review(granted))
}
