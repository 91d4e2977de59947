package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	versions "github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testpolicy"
)

// What the scripts about a topic of policies that others write on can do beside the rest:
//
//	garbage policies          append what is no version
//	otherwise policies        append the seed's version with another content
func init() {
	scriptCommands["garbage"] = func(ts *testscript.TestScript, _ bool, _ []string) {
		writePolicies(ts, func(*testing.T, string) stream.Message {
			return stream.Message{Key: []byte("x"), Value: []byte("no event")}
		})
	}
	scriptCommands["otherwise"] = func(ts *testscript.TestScript, _ bool, _ []string) {
		writePolicies(ts, func(t *testing.T, topic string) stream.Message {
			seed := versions.Seed()
			return testpolicy.Message(t, topic, testpolicy.Version(t, seed.Version, seed.PublishedOn.Start(), func(c *versions.Catalogue) {
				testpolicy.Widen(c, "promotion")
			}))
		})
	}
}

func writePolicies(ts *testscript.TestScript, make func(*testing.T, string) stream.Message) {
	b := benchOf(ts)
	m := make(testingOf(ts), b.Topics.Policies)
	m.Topic = b.Topics.Policies
	must(b.producer.Publish(testingOf(ts).Context(), m))
}
