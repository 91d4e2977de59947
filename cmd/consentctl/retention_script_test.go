package main

import (
	"bytes"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/policy"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	versions "github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/schemas"
)

// What the scripts about retention can do beside the rest:
//
//	begin WHO, leave WHO      start and end the agreement
//	refuse WHO PURPOSE        request a withdrawal and refuse it, to be reviewed a day ago
//	policy                    publish the seed's version
func init() {
	scriptCommands["begin"] = scriptDecision(events.AgreementStarted)
	scriptCommands["leave"] = scriptDecision(events.AgreementEnded)
	scriptCommands["refuse"] = func(ts *testscript.TestScript, _ bool, args []string) {
		b, t := benchOf(ts), testingOf(ts)
		request := event(args[0], events.WithdrawalRequested, events.Purpose(args[1]))
		b.publish(t, request)
		refusal := event(args[0], events.WithdrawalRefused, events.Purpose(args[1]))
		refusal.Policy, refusal.Method = "", events.ByStaff
		refusal.Request, refusal.ReviewBy = events.Ref{Source: request.Source, ID: request.ID}, events.MillisOf(time.Now().AddDate(0, 0, -1))
		refusal.Ground, refusal.Reference = events.ObligationUnfulfilled, "urn:kelisim:obligation:7"
		b.publish(t, refusal)
		b.settle(t)
	}
	scriptCommands["policy"] = func(ts *testscript.TestScript, _ bool, _ []string) {
		e := must(versions.Seed().Event("/test", time.Now()))
		m := must(cloudevent.Encoder{Data: schemas.Data}.Encode(&e))
		m.Topic = benchOf(ts).Topics.Policies
		must(benchOf(ts).producer.Publish(testingOf(ts).Context(), m))
	}
}

// policyService is the role policy on a bench.
func policyService(b *bench) (consumers.Service, error) {
	action, err := policy.New(b.client, policy.Config{
		Rules: events.SeedRules, Key: must(policy.NewKey(bytes.Repeat([]byte{1}, 32))), Publisher: b.producer, Receipts: b.Topics.Receipts,
	})
	if err != nil {
		return consumers.Service{}, err
	}
	return policy.Service(action), nil
}
