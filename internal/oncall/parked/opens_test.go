package parked_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/oncall/parked"
	"github.com/kelisim/kelisim/internal/testenv"
)

// A withdrawal that nobody can read holds somebody who had consented. To dismiss it is
// to allow what was meant to stop.
func TestADismissalThatAllowsSomethingNeedsTwoPeople(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t)
	rubbish := func(who events.Subject) {
		m := s.message(who, events.Withdrawn, time.Now(), "promotion")
		m.Value = []byte("no object")
		s.publish(m)
	}
	consented, withdrew := s.person(1, "consented"), s.person(2, "withdrew")
	s.tell(consented, events.Granted, "promotion")
	rubbish(consented)
	rubbish(consented)
	rubbish(withdrew) // nobody ever allowed anything
	s.settle()
	all := s.cases()
	require.Len(t, all, 3)

	propose := func(cases []*parked.Case) *parked.Dismissal {
		plan, err := s.desk.PlanDismissal(t.Context(), cases, "noise")
		require.NoError(t, err)
		return plan
	}
	of := func(who events.Subject) (cases []*parked.Case) {
		for _, c := range all {
			if c.Subject == who {
				cases = append(cases, c)
			}
		}
		return cases
	}
	require.Zero(t, propose(of(consented)[:1]).Opens(), "the other one still holds")
	require.NoError(t, propose(of(withdrew)).Permit(parked.Permit{Operator: "aigerim"}), "opens nothing")

	plan := propose(all)
	require.Equal(t, 2, plan.Opens())
	require.ErrorContains(t, plan.Permit(parked.Permit{Operator: "aigerim"}), "needs --permit-grants")
	require.ErrorContains(t, plan.Permit(parked.Permit{Grants: true, Operator: "aigerim"}), "a second operator must agree")
	require.ErrorContains(t, plan.Permit(parked.Permit{Grants: true, Operator: "aigerim", Second: " Aigerim"}), "another person than aigerim")
	require.NoError(t, plan.Permit(parked.Permit{Grants: true, Operator: "aigerim", Second: "dana"}))
}
