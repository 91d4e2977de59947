package policy_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/consumers/policy"
	"github.com/kelisim/kelisim/events"
	versions "github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/testpolicy"
	"github.com/kelisim/kelisim/schemas"
)

var (
	started = events.Event{Type: events.AgreementStarted}
	ended   = events.Event{Type: events.AgreementEnded}
)

func TestThreeYearsAfterTheAgreementEndedTheSubjectIsErased(t *testing.T) {
	w := newWorld(t)
	leaver, stayer := slotstest.Subject(1), slotstest.Subject(2)
	w.tell(t, leaver, started)
	w.tell(t, stayer, started)
	require.Equal(t, policy.Swept{}, w.sweep(t))
	w.now = at(t, "2027-01-31 18:00")
	w.tell(t, leaver, ended)
	require.Equal(t, policy.Swept{Running: 1}, w.sweep(t))

	w.now = at(t, "2030-01-31 23:59")
	require.Equal(t, policy.Swept{Running: 1}, w.sweep(t), "the last day is not over")
	w.now = at(t, "2030-02-01 00:00")
	require.Equal(t, policy.Swept{Erased: 1}, w.sweep(t))
	require.Equal(t, policy.Swept{Erased: 1}, w.sweep(t), "until the log has it, again, and as a copy")
	erasures := w.published.events(t)
	require.Len(t, erasures, 2)
	require.Equal(t, erasures[0], erasures[1])
	require.Equal(t, leaver, erasures[0].Subject)
	require.Equal(t, events.SubjectErased, erasures[0].Type)
	require.Equal(t, at(t, "2030-02-01 00:00").UTC(), erasures[0].Decided.Time())
	requireSchema(t, "subject.erased.v1", erasures[0])

	w.obey(t)
	require.True(t, w.Rules.Erasure(w.states[leaver]).Stands)
	require.Equal(t, policy.Swept{}, w.sweep(t))
	require.Equal(t, policy.Count{Suppressed: 1}, w.count(t))
	require.NotContains(t, w.log.String(), leaver.Reveal())
}

func TestABlockFreezesTheErasure(t *testing.T) {
	w := newWorld(t)
	s := slotstest.Subject(1)
	w.tell(t, s, started)
	w.tell(t, s, ended)
	w.tell(t, s, events.Event{Type: events.Blocked, Purposes: w.set(t, "promotion")})
	w.now = at(t, "2029-12-01 00:00")
	require.Equal(t, policy.Swept{Frozen: 1}, w.sweep(t))
	require.Empty(t, w.published.events(t))
	w.tell(t, s, events.Event{Type: events.Unblocked, Purposes: w.set(t, "promotion")})
	require.Equal(t, policy.Swept{Erased: 1}, w.sweep(t))
}

func TestAnAgreementBegunAnewStopsTheClock(t *testing.T) {
	w := newWorld(t)
	s := slotstest.Subject(1)
	w.tell(t, s, started)
	w.tell(t, s, ended)
	require.EqualValues(t, 1, w.count(t).Retentions)
	w.now = w.now.Add(time.Hour)
	w.tell(t, s, started)
	require.Zero(t, w.count(t).Retentions)
	w.now = at(t, "2035-01-01 00:00")
	require.Equal(t, policy.Swept{}, w.sweep(t))
}

// The list may be behind the state: what the state says counts.
func TestNobodyIsErasedWhoseStateSaysOtherwise(t *testing.T) {
	w := newWorld(t)
	s := slotstest.Subject(1)
	w.tell(t, s, started)
	w.tell(t, s, ended)
	w.now = w.now.Add(time.Hour)
	w.fold(s, started) // the action is still to be done
	w.now = at(t, "2035-01-01 00:00")
	require.Equal(t, policy.Swept{Running: 1}, w.sweep(t))
	require.Empty(t, w.published.events(t))
}

func TestInDoubtNobodyIsErased(t *testing.T) {
	for name, doubt := range map[string]func(*world){
		"an event is parked":      func(w *world) { w.held = true },
		"the cache is behind":     func(w *world) { w.stale = true },
		"no version is in force":  func(w *world) { w.policies.book = nil },
		"the broker does not ack": func(w *world) { w.published.fails = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.tell(t, slotstest.Subject(1), started)
			w.tell(t, slotstest.Subject(1), ended)
			w.now = at(t, "2035-01-01 00:00")
			doubt(w)
			swept, _ := w.sweeper.Sweep(ctx())
			require.Zero(t, swept.Erased)
			require.Empty(t, w.published.events(t))
		})
	}
}

// What is erased stays erased: no clock that runs ahead alone does it, the role's own,
// Redis' or the brokers', nor a policy that is in force by that clock alone.
func TestNobodyIsErasedByOneClockThatRunsAhead(t *testing.T) {
	before, due := at(t, "2029-11-02 23:59"), at(t, "2029-11-03 00:00")
	for name, ahead := range map[string]struct{ own, redis, log time.Time }{
		"the role's own": {due.AddDate(20, 0, 0), before, before},
		"Redis'":         {before, due.AddDate(20, 0, 0), before},
		"the brokers'":   {before, before, due.AddDate(20, 0, 0)},
		"all but Redis'": {due, before, due},
		"all but theirs": {due, due, before},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			log := ahead.log
			w.shared.LogNow = func() time.Time { return log }
			w.sweeper = policy.NewSweeper(w.client, time.Minute, w.shared)
			w.tell(t, slotstest.Subject(1), started)
			w.tell(t, slotstest.Subject(1), ended)
			w.now, w.redis = ahead.own, ahead.redis
			require.Equal(t, policy.Swept{Running: 1}, w.sweep(t))
			require.Empty(t, w.published.events(t))
			w.now, w.redis, log = due, due, due
			require.Equal(t, policy.Swept{Erased: 1}, w.sweep(t))
		})
	}
}

func TestAShorterRetentionErasesNobodyBeforeEveryClockHasItInForce(t *testing.T) {
	w := newWorld(t)
	shorter := testpolicy.Version(t, "2028-01", at(t, "2027-12-01 09:00"), func(c *versions.Catalogue) {
		c.EffectiveOn = versions.DateOf(at(t, "2028-01-01 00:00"))
		require.NoError(t, c.Retention.UnmarshalText([]byte("P1Y")))
		for i := range c.Purposes {
			c.Purposes[i].Retention = c.Retention
		}
	})
	w.policies.publish(t, shorter, at(t, "2027-12-01 09:00"))
	w.tell(t, slotstest.Subject(1), started)
	w.tell(t, slotstest.Subject(1), ended)
	w.now, w.redis = at(t, "2028-01-01 00:00"), at(t, "2027-12-31 23:59")
	require.Equal(t, policy.Swept{Running: 1}, w.sweep(t), "three years, by the policy that Redis' clock has in force")
	w.redis = w.now
	require.Equal(t, policy.Swept{Erased: 1}, w.sweep(t))
}

// A copy of the erasure, published while somebody begins anew, takes nothing of
// what began.
func TestALateCopyOfTheErasureTakesNothingThatBeganSince(t *testing.T) {
	w := newWorld(t)
	s := slotstest.Subject(1)
	w.tell(t, s, started)
	w.tell(t, s, ended)
	w.now = at(t, "2030-01-01 00:00")
	w.sweep(t)
	w.now = w.now.Add(time.Minute)
	w.sweep(t)
	copies := w.published.events(t)
	require.Len(t, copies, 2)
	w.tell(t, s, copies[0])
	w.now = w.now.Add(time.Minute)
	w.tell(t, s, started)
	w.now = w.now.Add(time.Minute)
	require.Equal(t, events.Duplicate, w.tell(t, s, copies[1]).Verdict)
	require.Equal(t, events.Lives, w.Rules.Agreement(w.states[s]).Phase)
}

// Whoever is due behind somebody who is frozen is erased all the same, and more
// than a page of them.
func TestEverybodyWhoIsDueIsErased(t *testing.T) {
	w := newWorld(t)
	const people = 450
	for i := range people {
		s := slotstest.Subject(i)
		w.tell(t, s, started)
		w.tell(t, s, ended)
		if i%100 == 0 {
			w.tell(t, s, events.Event{Type: events.Blocked})
		}
		w.now = w.now.Add(time.Second)
	}
	w.now = at(t, "2030-01-01 00:00")
	require.Equal(t, policy.Swept{Erased: people - 5, Frozen: 5}, w.sweep(t))
}

func TestAReviewThatPassedAlarmsOnceAndIsCounted(t *testing.T) {
	w := newWorld(t)
	s := slotstest.Subject(1)
	contractors := w.set(t, "contractors")
	w.tell(t, s, started)
	w.tell(t, s, events.Event{Type: events.Granted, Policy: events.SeedPolicy, Purposes: contractors})
	w.tell(t, s, events.Event{ID: "r", Source: "/desk", Type: events.WithdrawalRequested, Decided: events.MillisOf(w.now.Add(time.Second)), Purposes: contractors})
	w.now = w.now.Add(time.Minute)
	due := at(t, "2027-03-01 00:00")
	refusal := events.Event{Type: events.WithdrawalRefused, Method: events.ByStaff, Request: events.Ref{Source: "/desk", ID: "r"}, ReviewBy: events.MillisOf(due), Purposes: contractors}
	w.tell(t, s, refusal)
	require.Equal(t, policy.Swept{}, w.sweep(t))
	listed, err := w.calendar.Reviews(ctx(), 0, 0, 10)
	require.NoError(t, err)
	require.Equal(t, []policy.Entry{{Subject: s, At: events.MillisOf(due)}}, listed)

	w.now = due
	require.Equal(t, policy.Swept{Alarmed: 1, Overdue: 1}, w.sweep(t))
	require.Contains(t, w.log.String(), "to be reviewed")
	require.NotContains(t, w.log.String(), s.Reveal())
	w.act(t, s) // the state is acted on again, as after a restart
	require.Equal(t, policy.Swept{Overdue: 1}, w.sweep(t), "once")

	w.tell(t, s, events.Event{Type: events.Granted, Policy: events.SeedPolicy, Purposes: contractors})
	require.Equal(t, policy.Swept{}, w.sweep(t), "granted anew: nothing is held open by a ground")
}

// requireSchema holds an event's data to the schema of its type.
func requireSchema(t *testing.T, name string, e events.Event) {
	t.Helper()
	var data any
	require.NoError(t, json.Unmarshal(e.Data, &data))
	at, err := schemas.Data("io.kelisim."+name, data)
	require.NoError(t, err)
	require.Empty(t, at)
}
