package cekafka_test

import (
	"context"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/test"
	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/cekafka"
	"github.com/kelisim/kelisim/internal/testenv"
)

// TestEventsSurviveABroker sends the SDK's test events in both modes through a
// broker, embedded or real, and resumes behind what was acknowledged.
func TestEventsSurviveABroker(t *testing.T) {
	broker := testenv.Kafka(t)
	topic := broker.Topic(t, testenv.TopicSpec{Name: "cekafka", Partitions: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	w := &kafka.Writer{Addr: kafka.TCP(broker.Addr()), RequiredAcks: kafka.RequireAll, BatchTimeout: time.Nanosecond}
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	sender := cekafka.NewSender(w, cekafka.SendTo(topic), cekafka.KeyedBy(cekafka.PartitionKey))
	var sent []event.Event
	for _, force := range []func(context.Context) context.Context{binding.WithForceBinary, binding.WithForceStructured} {
		for _, e := range test.Events() {
			e.SetExtension("partitionkey", e.ID())
			sent = append(sent, test.ConvertEventExtensionsToString(t, e))
			require.NoError(t, sender.Send(force(ctx), binding.ToMessage(&e)))
		}
	}

	const handled = 5
	read := func(from, to int) {
		reader := kafka.NewReader(kafka.ReaderConfig{
			Brokers: []string{broker.Addr()}, Topic: topic, GroupID: topic + "-group",
			StartOffset: kafka.FirstOffset, MaxWait: 100 * time.Millisecond,
		})
		defer func() { require.NoError(t, reader.Close()) }()
		r := cekafka.NewReceiver(reader)
		for _, want := range sent[from:to] {
			m, err := r.Receive(ctx)
			require.NoError(t, err)
			got := test.ConvertEventExtensionsToString(t, test.MustToEvent(t, ctx, m))
			test.AssertEventEquals(t, want, got)
			require.Equal(t, want.ID(), string(m.(*cekafka.Message).Record().Key))
			require.NoError(t, m.Finish(nil))
		}
	}
	read(0, handled)
	read(handled, len(sent))
}
