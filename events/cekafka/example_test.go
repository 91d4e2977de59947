package cekafka_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/segmentio/kafka-go"

	"github.com/kelisim/kelisim/events/cekafka"
)

func someEvent() event.Event {
	e := event.New()
	e.SetID("7f1c")
	e.SetSource("/preference-centre")
	e.SetType("com.example.consent.withdrawn")
	e.SetExtension("partitionkey", "customer-42")
	_ = e.SetData(event.ApplicationJSON, map[string]string{"channel": "app"})
	return e
}

// An event as a Kafka message in binary mode: attributes in headers, data as
// the value. The key mapper is opt-in.
func ExampleWriteMessage() {
	e := someEvent()
	var record kafka.Message
	ctx := cekafka.WithKeyMapper(context.Background(), cekafka.PartitionKey)
	if err := cekafka.WriteMessage(ctx, binding.ToMessage(&e), &record); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("key %s\n", record.Key)
	for _, h := range record.Headers {
		fmt.Printf("%s: %s\n", h.Key, h.Value)
	}
	fmt.Printf("%s\n", record.Value)
	// Output:
	// key customer-42
	// ce_id: 7f1c
	// ce_source: /preference-centre
	// ce_specversion: 1.0
	// ce_type: com.example.consent.withdrawn
	// content-type: application/json
	// ce_partitionkey: customer-42
	// {"channel":"app"}
}

// The same event in structured mode: everything in the value.
func ExampleWriteMessage_structured() {
	e := someEvent()
	var record kafka.Message
	ctx := binding.WithForceStructured(context.Background())
	if err := cekafka.WriteMessage(ctx, binding.ToMessage(&e), &record); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %s\n%s\n", record.Headers[0].Key, record.Headers[0].Value, record.Value)
	// Output:
	// content-type: application/cloudevents+json
	// {"specversion":"1.0","id":"7f1c","source":"/preference-centre","type":"com.example.consent.withdrawn","datacontenttype":"application/json","data":{"channel":"app"},"partitionkey":"customer-42"}
}

// A Kafka message of either mode as an event of the SDK.
func ExampleNewMessage() {
	record := kafka.Message{
		Value: []byte(`{"channel":"app"}`),
		Headers: []kafka.Header{
			{Key: "ce_specversion", Value: []byte("1.0")},
			{Key: "ce_id", Value: []byte("7f1c")},
			{Key: "ce_source", Value: []byte("/preference-centre")},
			{Key: "ce_type", Value: []byte("com.example.consent.withdrawn")},
			{Key: "content-type", Value: []byte("application/json")},
		},
	}
	e, err := binding.ToEvent(context.Background(), cekafka.NewMessage(record))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(e.Type(), string(e.Data()))
	// Output:
	// com.example.consent.withdrawn {"channel":"app"}
}

// Without the SDK's types, and validated.
func ExampleDecodeStructured() {
	value := []byte(`{"specversion":"1.0","id":"7f1c","source":"/preference-centre",
		"type":"com.example.consent.withdrawn","partitionkey":"customer-42","data":{"channel":"app"}}`)
	e, err := cekafka.DecodeStructured("application/cloudevents+json", value)
	fmt.Println(e.ID, e.Extensions["partitionkey"], string(e.Data), err)

	_, err = cekafka.DecodeStructured("application/cloudevents+json", []byte(`{"specversion":"1.0","id":"7f1c","id":"8"}`))
	fmt.Println(err)
	// Output:
	// 7f1c customer-42 {"channel":"app"} <nil>
	// malformed CloudEvent: duplicate-attribute of id
}

// Sending over a kafka.Writer that waits for the brokers and not for a batch.
func ExampleNewSender() {
	w := &kafka.Writer{
		Addr:         kafka.TCP("localhost:9092"),
		Topic:        "consent",
		Balancer:     kafka.Murmur2Balancer{Consistent: true}, // as the Java client does
		RequiredAcks: kafka.RequireAll,
		BatchTimeout: time.Millisecond,
	}
	defer w.Close()
	s := cekafka.NewSender(w, cekafka.KeyedBy(cekafka.PartitionKey))
	e := someEvent()
	if err := s.Send(context.Background(), binding.ToMessage(&e)); err != nil {
		log.Print(err)
	}
}

// Receiving in a consumer group: acknowledged messages are committed, in the
// order of the log.
func ExampleNewReceiver() {
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{"localhost:9092"},
		GroupID: "marketing",
		Topic:   "consent",
		MaxWait: 500 * time.Millisecond,
	})
	defer reader.Close()
	r := cekafka.NewReceiver(reader)
	for {
		m, err := r.Receive(context.Background())
		if err != nil {
			log.Print(err)
			return
		}
		e, err := binding.ToEvent(context.Background(), m)
		if err == nil {
			fmt.Println(e.ID())
		}
		if err := m.Finish(err); err != nil {
			log.Print(err)
		}
	}
}
