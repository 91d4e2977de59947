package cekafka

import (
	"context"
	"fmt"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/protocol"
	"github.com/segmentio/kafka-go"
)

// MessageWriter is what a [Sender] needs of a *kafka.Writer.
type MessageWriter interface {
	WriteMessages(ctx context.Context, messages ...kafka.Message) error
}

// Sender sends CloudEvents through a kafka-go writer.
type Sender struct {
	writer MessageWriter
	topic  string
	mapper KeyMapper
}

var _ protocol.Sender = (*Sender)(nil)

// SenderOption changes a [Sender] that is being made.
type SenderOption func(*Sender)

// SendTo names the topic of every message. Leave it out when the kafka.Writer
// has one: kafka-go refuses to be told twice.
func SendTo(topic string) SenderOption { return func(s *Sender) { s.topic = topic } }

// KeyedBy has every message without a key of its own keyed by the mapper, for
// example [PartitionKey].
func KeyedBy(m KeyMapper) SenderOption { return func(s *Sender) { s.mapper = m } }

// NewSender returns a sender over w, which the caller keeps and closes. Whether
// Send waits for the brokers is the writer's setting. Mind that a kafka.Writer
// made as a struct literal waits for none of them (RequiredAcks), and for a
// second to fill a batch (BatchTimeout).
func NewSender(w MessageWriter, options ...SenderOption) *Sender {
	s := &Sender{writer: w}
	for _, option := range options {
		option(s)
	}
	return s
}

// Send implements [protocol.Sender]. It returns when the writer has, and
// finishes m with the same result. The error wraps the writer's.
func (s *Sender) Send(ctx context.Context, m binding.Message, transformers ...binding.Transformer) error {
	err := s.send(ctx, m, transformers)
	if ended := m.Finish(err); err == nil && ended != nil {
		return fmt.Errorf("finish sent CloudEvent: %w", ended)
	}
	return err
}

func (s *Sender) send(ctx context.Context, m binding.Message, transformers []binding.Transformer) error {
	if s.mapper != nil && ctx.Value(mapperOf{}) == nil {
		ctx = WithKeyMapper(ctx, s.mapper)
	}
	record := kafka.Message{Topic: s.topic}
	if err := WriteMessage(ctx, m, &record, transformers...); err != nil {
		return err
	}
	if err := s.writer.WriteMessages(ctx, record); err != nil {
		return fmt.Errorf("send CloudEvent: %w", err)
	}
	return nil
}
