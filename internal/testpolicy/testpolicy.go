// Package testpolicy publishes versions of the policy for tests: the seed's, and
// others made of it. Nothing else imports it.
package testpolicy

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/schemas"
)

// NewTopic creates a topic for policies and publishes versions to it.
func NewTopic(t testing.TB, broker *testenv.Broker, versions ...*policy.Catalogue) string {
	t.Helper()
	topic := broker.Deployed(t, deploy.PoliciesTopic, 0)
	Publish(t, broker, topic, versions...)
	return topic
}

// Publish appends versions to a topic and returns when they are there.
func Publish(t testing.TB, broker *testenv.Broker, topic string, versions ...*policy.Catalogue) {
	t.Helper()
	for _, c := range versions {
		Append(t, broker, Message(t, topic, c))
	}
}

// Message is the record that publishes a version.
func Message(t testing.TB, topic string, c *policy.Catalogue) stream.Message {
	t.Helper()
	e, err := c.Event("/test", time.Now())
	require.NoError(t, err)
	m, err := cloudevent.Encoder{Data: schemas.Data}.Encode(&e)
	require.NoError(t, err)
	m.Topic = topic
	return m
}

// Append appends any record.
func Append(t testing.TB, broker *testenv.Broker, m stream.Message) {
	t.Helper()
	producer, err := stream.NewProducer(stream.ProducerConfig{Config: stream.Config{Brokers: broker.Addrs()}})
	require.NoError(t, err)
	defer func() { _ = producer.Close(context.Background()) }()
	_, err = producer.Publish(t.Context(), m)
	require.NoError(t, err)
}

// Seed returns the seed as if it had been in force since the year 2000, in which the
// clock of package testing/synctest begins.
func Seed(t testing.TB) *policy.Catalogue {
	t.Helper()
	return Version(t, events.SeedPolicy, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), nil)
}

// Version returns the seed under another name, published on the day of the given
// moment and changed by edit, if there is one. No earlier consent covers it
// unless edit says so.
func Version(t testing.TB, name events.PolicyVersion, published time.Time, edit func(*policy.Catalogue)) *policy.Catalogue {
	t.Helper()
	text, err := policy.Seed().JSON()
	require.NoError(t, err)
	c := new(policy.Catalogue)
	require.NoError(t, json.Unmarshal(text, c))
	c.Version, c.PublishedOn, c.EffectiveOn = name, policy.DateOf(published), policy.Date{}
	CoveredFrom(c, "")
	if edit != nil {
		edit(c)
	}
	text, err = json.Marshal(c)
	require.NoError(t, err)
	c, err = policy.Parse(text)
	require.NoError(t, err)
	return c
}

// CoveredFrom says of all purposes from which version on consent covers them.
func CoveredFrom(c *policy.Catalogue, v events.PolicyVersion) {
	for i := range c.Purposes {
		c.Purposes[i].CoveredFrom = v
	}
}

// Widen has a purpose ask for more than it did: another recipient.
func Widen(c *policy.Catalogue, name events.Purpose) {
	for i := range c.Purposes {
		if p := &c.Purposes[i]; p.Name == name {
			p.Recipients = append(p.Recipients, "new-partner")
			p.CoveredFrom = ""
		}
	}
}
