package endtoend

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/policy"
	"github.com/kelisim/kelisim/events"
	versions "github.com/kelisim/kelisim/events/policy"
)

// One person's life, from the agreement to an import after the erasure, through
// everything that runs in production: the services, the role policy with its sweep
// and its intake, partners and teams, guards. The agreement ends now; everything
// before was decided when the test says, and the calendar's clock goes on behind.
//
// It prints a timeline with every guard's answer for every purpose: what is
// allowed, and of what is denied why, by the signs of the legend.
func TestAWholeLifeOnTheWholePipeline(t *testing.T) {
	w := newLife(t)
	w.legend(t)

	w.at(-90, "10:00").tell("agreement started", "/app", events.Event{Type: events.AgreementStarted})
	w.want("C.L....C.......")
	w.at(-90, "10:01").tell("policy 1 accepted", "/app", events.Event{Type: events.PolicyAccepted, Policy: "1"})
	w.want("C.L....C.......")
	w.at(-90, "10:02").tell("five purposes granted", "/app", events.Event{
		Type: events.Granted, Policy: "1", Purposes: w.set("promotion", "research", "contractors", "personalisation", "partner-contracts"),
	})
	w.want("C+L+..+C+.+....")
	w.learn(t)

	w.at(-60, "09:00").publish("policy 2 published: research widens", w.second)
	w.want("C+L+..+C+.o....")
	w.at(-53, "23:59").uses("used on the seventh full day")
	w.accepted("1", true)
	w.want("C+L+..+C+.o....")
	w.at(-52, "00:00").uses("first use after seven full days")
	w.accepted("2", false)
	w.want("C+L+..+C+.o....")
	w.at(-52, "12:00").tell("policy 2 accepted in so many words", "/app", events.Event{Type: events.PolicyAccepted, Policy: "2"})
	w.accepted("2", true)
	w.want("C+L+..+C+.+....")

	w.at(-50, "09:00").tell("promotion withdrawn", "/app", events.Event{Type: events.Withdrawn, Purposes: w.set("promotion")})
	w.want("C+Lw..+C+.+....")
	w.at(-49, "09:00").tell("contractors: withdrawal requested", "/app", events.Event{
		ID: "request", Type: events.WithdrawalRequested, Purposes: w.set("contractors"),
	})
	w.want("C+Lw..rC+.+....")
	w.at(-48, "09:00").tell("the request is refused", "/desk", events.Event{
		Type: events.WithdrawalRefused, Method: events.ByStaff, Request: events.Ref{Source: "/app", ID: "request"},
		Ground: events.ObligationUnfulfilled, Reference: "urn:kelisim:obligation:7",
		ReviewBy: events.MillisOf(w.moment(-20, "09:00")), Purposes: w.set("contractors"),
	})
	w.want("C+Lw..+C+.+....")
	w.at(-47, "09:00").tell("border granted to nordkino alone", "/app", events.Event{
		Type: events.Granted, Policy: "2", Purposes: w.set("cross-border-nordkino"),
	})
	w.want("C+Lw..+C+.+..+.")
	w.shares(t, map[string]bool{"nordkino": true, "bosfor": false})

	w.at(-46, "09:00").tell("blocked", "/desk", events.Event{Type: events.Blocked, Method: events.ByStaff})
	w.want("bbbbbbbbbbbbbbb")
	w.at(-45, "09:00").tell("unblocked", "/desk", events.Event{Type: events.Unblocked, Method: events.ByStaff})
	w.want("C+Lw..+C+.+..+.")
	require.Equal(t, policy.Swept{Alarmed: 1, Overdue: 1}, w.at(-20, "09:00").sweep("the refusal is to be reviewed"))
	w.want("C+Lw..+C+.+..+.")
	w.at(-15, "09:00").tell("agreement suspended", "/desk", events.Event{Type: events.AgreementSuspended, Method: events.ByStaff})
	w.want("s+Lw..+s+.+..+.")
	w.at(-12, "09:00").tell("agreement resumed", "/desk", events.Event{Type: events.AgreementResumed, Method: events.ByStaff})
	w.want("C+Lw..+C+.+..+.")
	w.now().tell("agreement ended", "/app", events.Event{Type: events.AgreementEnded})
	w.want("a+Lw..+a+.+..+.")

	over := versions.DueAt(w.ended(), versions.DefaultRetention)
	require.Equal(t, policy.Swept{Running: 1, Overdue: 1}, w.then(over.Add(-time.Minute)).sweep("three years less a minute"))
	w.want("a+Lw..+a+.+..+.")
	w.alone.Store(true)
	require.Equal(t, policy.Swept{Running: 1, Overdue: 1}, w.then(over).sweep("three years, by the role's clock alone"))
	w.alone.Store(false)
	w.want("a+Lw..+a+.+..+.")
	w.tell("blocked", "/desk", events.Event{Type: events.Blocked, Method: events.ByStaff})
	w.want("bbbbbbbbbbbbbbb")
	require.Equal(t, policy.Swept{Frozen: 1, Overdue: 1}, w.then(over).sweep("three years, and frozen"))
	w.want("bbbbbbbbbbbbbbb")
	w.tell("unblocked", "/desk", events.Event{Type: events.Unblocked, Method: events.ByStaff})
	w.want("a+Lw..+a+.+..+.")
	require.Equal(t, 1, w.sweep("retention is over: erased by the role").Erased)
	w.want("eeeeeeeeeeeeeee")
	w.forgotten(t)

	w.then(over.AddDate(0, 1, 0)).tell("an import tries to bring it back", "/telco", events.Event{
		Type: events.Granted, Method: events.ByImport, Policy: "2", Purposes: w.rules().All(),
	})
	w.want("eeeeeeeeeeeeeee")
	w.tell("a merge tries to", "/telco", events.Event{Type: events.AgreementStarted, Method: events.ByMerge})
	w.want("eeeeeeeeeeeeeee")
	w.uses("use tries to")
	w.want("eeeeeeeeeeeeeee")
	w.forgotten(t)
	require.Equal(t, map[string]int{events.ReasonTrust: 2 * len(w.services)}, parkedReasons(t, w.broker, w.topics.Parked))
	require.Equal(t, policy.Swept{}, w.then(over.AddDate(10, 0, 0)).sweep("ten years later"))
	w.want("eeeeeeeeeeeeeee")
}

// patient is how long anything may take on a machine that is busy with others, and
// breath is between two looks.
const (
	patient = time.Minute
	breath  = 10 * time.Millisecond
)
