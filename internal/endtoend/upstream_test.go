package endtoend

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testservice"
	"github.com/kelisim/kelisim/schemas"
)

// After CJEU C-129/21 (Proximus): a person opted out of a directory, and the next
// refresh of an upstream system's data put the person back. Here the refresh goes
// through the whole pipeline, again and again, and brings nobody back.
func TestAnUpstreamRefreshBringsNobodyBackThroughTheWholePipeline(t *testing.T) {
	broker, server := testenv.Kafka(t), testenv.Redis(t)
	topics, client, rules := testservice.NewTopics(t, broker, 2), server.Client(t), events.SeedRules()
	producer, err := stream.NewProducer(stream.ProducerConfig{Config: stream.Config{Brokers: []string{broker.Addr()}}})
	require.NoError(t, err)
	defer func() { _ = producer.Close(context.Background()) }()
	action, err := marketing.New(client, rules, nil)
	require.NoError(t, err)
	service := testservice.Start(t, testservice.Config{Service: marketing.Service(action), Kafka: broker.Addr(), Redis: client, Topics: topics, Buckets: 16})
	defer service.Stop(t)

	person, err := events.ParseSubject("person-1")
	require.NoError(t, err)
	published := int64(0)
	tell := func(source string, typ events.Type, method events.Method, purposes events.PurposeSet) {
		t.Helper()
		published++
		now := producer.Now()
		e := events.Event{
			ID: fmt.Sprint(published), Source: source, Type: typ, Method: method, Subject: person, Purposes: purposes,
			Decided: events.MillisOf(now), Data: []byte(`{"channel":"partner"}`),
		}
		if !typ.Restricts() {
			e.Policy, e.Evidence = events.SeedPolicy, "urn:test:evidence:1"
		}
		m, err := cloudevent.Encoder{Rules: rules, Data: schemas.Data}.Encode(&e)
		require.NoError(t, err)
		m.Topic = topics.Events
		_, err = producer.Publish(t.Context(), m)
		require.NoError(t, err)
		service.Wait(t, published)
	}
	promotion, err := rules.Set("promotion")
	require.NoError(t, err)
	ask := guard.New(client, marketing.Name, guard.WithDeadline(5*time.Second))
	says := func() events.Reason { return ask.Check(t.Context(), person, "promotion").Reason }
	tell("/app", events.Granted, events.ByPerson, promotion)
	require.Eventually(t, func() bool { return says() == events.ByGrant }, 30*time.Second, 5*time.Millisecond)

	slots, err := marketing.Slots(t.Context(), client)
	require.NoError(t, err)
	desk, err := marketing.Open(client, slots)
	require.NoError(t, err)
	require.NoError(t, desk.Register(t.Context(), "spring-sale", "promotion"))

	tell("/app", events.Withdrawn, events.ByPerson, promotion)
	require.Eventually(t, func() bool { return says() == events.ByWithdrawal }, 30*time.Second, 5*time.Millisecond)

	for range 3 { // a nightly refresh
		tell("/telco/refresh", events.Granted, events.ByImport, rules.All())
		tell("/telco/refresh", events.Granted, events.ByMerge, promotion)
		require.Equal(t, events.ByWithdrawal, says(), "not held either: the refresh could only have permitted")
		got, err := desk.Admit(t.Context(), "spring-sale", person)
		require.NoError(t, err)
		require.Equal(t, 1, got.Suppressed)
	}
	require.Equal(t, map[string]int{events.ReasonTrust: 6}, parkedReasons(t, broker, topics.Parked), "kept aside, with the reason")

	tell("/app", events.Granted, events.ByPerson, promotion)
	require.Eventually(t, func() bool { return says() == events.ByGrant }, 30*time.Second, 5*time.Millisecond, "the person comes back by a decision of their own")
}

// parkedReasons counts what is in the parked topic, by reason.
func parkedReasons(t *testing.T, broker *testenv.Broker, topic string) map[string]int {
	t.Helper()
	reasons := make(map[string]int)
	readAll(t, broker, topic, func(r *stream.Record) {
		for key, value := range r.Headers.All() {
			if string(key) == "kelisim_reason" {
				reasons[string(value)]++
			}
		}
	})
	return reasons
}

// readAll calls each with every record that a topic holds now.
func readAll(t *testing.T, broker *testenv.Broker, topic string, each func(*stream.Record)) {
	t.Helper()
	reader, err := stream.NewReader(stream.ReaderConfig{Config: stream.Config{Brokers: []string{broker.Addr()}}, Topic: topic})
	require.NoError(t, err)
	defer reader.Close()
	offsets, err := reader.Offsets(t.Context())
	require.NoError(t, err)
	ranges := make(map[int32]stream.Range)
	for p, o := range offsets {
		if o.First < o.End {
			ranges[p] = stream.Range{From: o.First, To: o.End}
		}
	}
	require.NoError(t, reader.Read(t.Context(), ranges, func(b *stream.Batch) error {
		for i := range b.Records {
			each(&b.Records[i])
		}
		return nil
	}))
}
