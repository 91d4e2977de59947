package events

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// versions are the same rules under versions of the policy that differ in all that
// answers go by: the seed's, one that makes a contract or a law of what rests on
// consent, one that asks consent for everything, one that lacks half of it.
func versions(t *testing.T, r *Rules) []*Rules {
	var swapped, consent, half []Rule
	for c := range r.All().Codes() {
		rule := r.byCode[c]
		if c%2 == 0 {
			half = append(half, rule)
		}
		rule.Basis, rule.Withdrawable = 1+Basis(c%3), Withdrawable(1+c%2)
		swapped = append(swapped, rule)
		rule.Basis, rule.Withdrawable = Consent, Yes
		consent = append(consent, rule)
	}
	all := []*Rules{r}
	for _, asked := range [][]Rule{swapped, consent, half, nil} {
		next, err := r.InForce(asked, map[PolicyVersion]PurposeSet{SeedPolicy: r.All()})
		require.NoError(t, err)
		all = append(all, next)
	}
	return all
}

// What is in force while an event is folded changes no byte of the state, so
// services agree, whenever each of them learns of a version.
func TestStatesDoNotDependOnTheVersionInForce(t *testing.T) {
	all := versions(t, SeedRules())
	wild.hold(t, func(t failer, log []record) {
		t.Helper()
		var mixed State
		for i := range log {
			if !log[i].poison {
				mixed, _ = all[i%len(all)].Apply(mixed, &log[i].Event)
			}
		}
		require.Equal(t, foldLog(all[0], log, nil), mixed)
	})
}

func TestAPurposeThatTheVersionInForceLacksDenies(t *testing.T) {
	r := SeedRules()
	half := versions(t, r)[3]
	lacking := r.All() &^ half.asked
	require.True(t, lacking.Has(1) && lacking.Has(3) && lacking.Has(11), "of every basis")
	wild.hold(t, func(t failer, log []record) {
		t.Helper()
		s := foldLog(r, log, nil)
		with, without := r.Standing(s), half.Standing(s)
		require.Zero(t, without.Allowed&lacking)
		require.Equal(t, with.Allowed&^lacking, without.Allowed, "and changes nothing else")
		require.Equal(t, with.Stopped|with.Allowed&lacking, without.Stopped, "whoever was allowed is stopped")
		for _, p := range r.Names(lacking) {
			a := half.Decide(s, p)
			require.False(t, a.Allowed)
			require.Contains(t, []Reason{UnknownSubject, UnknownPurpose, ByBlock}, a.Reason)
		}
	})
}

// Services act on standings, guards answer by decisions: both say the same,
// whatever is in force.
func TestStandingsAndAnswersAgreeUnderEveryVersion(t *testing.T) {
	all := versions(t, SeedRules())
	wild.hold(t, func(t failer, log []record) {
		t.Helper()
		s := foldLog(all[0], log, nil)
		for n, r := range all {
			standing := r.Standing(s)
			for name, a := range answers(r, s) {
				require.Equal(t, standing.Allowed.Has(r.byName[name]), a.Allowed, "version %d, %s", n, name)
				require.False(t, a.Allowed && standing.Stopped.Has(r.byName[name]), "version %d, %s", n, name)
			}
		}
	})
}

func TestAWithdrawalOfWhatRestsOnTheLawTodayIsThereWhenConsentIsAskedAgain(t *testing.T) {
	consent := SeedRules()
	law, err := consent.InForce([]Rule{{Code: 4, Purpose: "promotion", Clause: "2.2(4)", Basis: Law}}, nil)
	require.NoError(t, err)
	for _, stop := range []Type{Withdrawn, WithdrawalRequested} {
		s, _ := fold(consent, State{}, told(Granted, "web", "g", promotion, 0, 1_000, 1_001))
		s, out := law.Apply(s, told(stop, "web", "w", promotion, 1, 9_000, 9_001))
		require.Equal(t, Applied, out.Verdict)
		require.Equal(t, ByLaw, law.Decide(s, "promotion").Reason, "no withdrawal stops it meanwhile")
		require.Equal(t, Answer{Reason: ByWithdrawal, Basis: Consent, By: Version{1, 0, 1}}, consent.Decide(s, "promotion"))
		require.Equal(t, promotion, consent.Standing(s).Stopped&promotion)
	}
}

// A purpose that goes on because a request was refused stops with the version under
// which nobody can refuse: there the request was the withdrawal.
func TestARefusalStandsOnlyWhileRequestsCanBeRefused(t *testing.T) {
	r, partners := SeedRules(), SetOf(2)
	optional, err := r.InForce([]Rule{{Code: 2, Purpose: "partner-contracts", Basis: Consent, Withdrawable: Yes}},
		map[PolicyVersion]PurposeSet{SeedPolicy: r.All()})
	require.NoError(t, err)
	refusal := told(WithdrawalRefused, "desk", "r", partners, 2, 3_000, 3_001)
	refusal.Request, refusal.ReviewBy = Ref{"web", "q"}, 90_000
	requested, _ := fold(r, State{},
		told(Granted, "web", "g", partners, 0, 1_000, 1_001),
		told(WithdrawalRequested, "web", "q", partners, 1, 2_000, 2_001))
	require.Equal(t, ByRequest, r.Decide(requested, "partner-contracts").Reason)
	require.Equal(t, ByWithdrawal, optional.Decide(requested, "partner-contracts").Reason)

	refused, _ := r.Apply(requested, refusal)
	require.True(t, r.Decide(refused, "partner-contracts").Allowed)
	require.Len(t, r.Reviews(refused), 1)
	require.Equal(t, ByWithdrawal, optional.Decide(refused, "partner-contracts").Reason)
	require.Equal(t, partners, optional.Standing(refused).Stopped&partners)
	require.Empty(t, optional.Reviews(refused))

	again, _ := optional.Apply(refused, told(Granted, "web", "g2", partners, 3, 9_000, 9_001))
	require.True(t, optional.Decide(again, "partner-contracts").Allowed, "the person agreed anew")
}

func TestAVersionInForceNamesPurposesThatAreKnown(t *testing.T) {
	r := SeedRules()
	for name, rule := range map[string]Rule{
		"another name": {Code: 4, Purpose: "selling", Basis: Consent, Withdrawable: Yes},
		"another code": {Code: 5, Purpose: "promotion", Basis: Consent, Withdrawable: Yes},
		"no basis":     {Code: 4, Purpose: "promotion"},
	} {
		_, err := r.InForce([]Rule{rule}, nil)
		require.ErrorContains(t, err, string(rule.Purpose), name)
	}
	_, err := r.InForce(nil, map[PolicyVersion]PurposeSet{"": 1})
	require.ErrorContains(t, err, "policy version")
}
