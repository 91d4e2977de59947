package readme

import (
	"context"
	"fmt"
	"log"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/schemas"
)

// withdraw is the README's producer.
func withdraw(ctx context.Context, producer *stream.Producer, topic, person string) error {
	rules := events.SeedRules()
	subject, err := events.ParseSubject(person)
	if err != nil {
		return err
	}
	purposes, _ := rules.Set("promotion", "research")
	message, err := cloudevent.Encoder{Rules: rules, Data: schemas.Data}.Encode(&events.Event{
		ID: "web-4711", Source: "/web/preferences", Type: events.Withdrawn, Subject: subject,
		Purposes: purposes, Decided: events.MillisOf(producer.Now()), Data: []byte(`{"channel":"web"}`),
	})
	if err != nil {
		return err
	}
	message.Topic = topic
	ack, err := producer.Publish(ctx, message) // returns when all in-sync replicas have it
	log.Printf("withdrawn at %d@%d", ack.Partition, ack.Offset)
	return err
}

// send is the README's guard.
func send(ctx context.Context, client redis.UniversalClient, subject events.Subject) error {
	ask := guard.New(client, "marketing") // once per process
	if d := ask.Check(ctx, subject, "promotion"); !d.Allowed {
		log.Printf("not sent to %v: %v", subject, d) // says why, by which event, and how fresh
		return d.Err()
	}
	return deliver(subject)
}

func deliver(events.Subject) error { return nil }

func TestReadmeSnippetsRun(t *testing.T) {
	broker, server := testenv.Kafka(t), testenv.Redis(t)
	topic := broker.Topic(t, testenv.TopicSpec{Name: "readme", Partitions: 2, Config: map[string]string{"message.timestamp.type": "LogAppendTime"}})
	producer, err := stream.NewProducer(stream.ProducerConfig{Config: stream.Config{Brokers: []string{broker.Addr()}}})
	require.NoError(t, err)
	defer func() { _ = producer.Close(context.Background()) }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, withdraw(ctx, producer, topic, "person-1"))
	require.Error(t, withdraw(ctx, producer, topic, "person@example.org"))

	subject, err := events.ParseSubject("person-1")
	require.NoError(t, err)
	require.Error(t, send(ctx, server.Client(t), subject), "no service runs: the answer is no")
	require.NotContains(t, fmt.Sprint(subject), "person-1")
}
