package cekafka

import (
	"context"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/segmentio/kafka-go"
)

// KeyMapper derives a record's key from the event that is written. It can only
// read, so it cannot alter the event, as the specification demands. A nil key
// leaves the record without one.
type KeyMapper func(event binding.MessageMetadataReader) ([]byte, error)

// PartitionKey is the [KeyMapper] of the CloudEvents partitioning extension:
// the key is the attribute partitionkey as it is, nil if there is none. An
// empty partitionkey is an error: the extension forbids it, and it would put
// all such events into one partition.
func PartitionKey(event binding.MessageMetadataReader) ([]byte, error) {
	value := event.GetExtension("partitionkey")
	if value == nil {
		return nil, nil
	}
	text, ok := value.(string)
	if !ok || text == "" {
		return nil, malformed(BadValue, "partitionkey")
	}
	return []byte(text), nil
}

type keyOf struct{}

type mapperOf struct{}

// WithKey gives the messages that are written under the returned context the
// record key, before any [KeyMapper].
func WithKey(ctx context.Context, key []byte) context.Context {
	return context.WithValue(ctx, keyOf{}, key)
}

// WithKeyMapper has the messages that are written under the returned context
// keyed by the mapper, when they have no key yet.
func WithKeyMapper(ctx context.Context, m KeyMapper) context.Context {
	return context.WithValue(ctx, mapperOf{}, m)
}

// mapKey sets the key of a record that has been written, if it has none.
func mapKey(ctx context.Context, record *kafka.Message) error {
	if record.Key != nil {
		return nil
	}
	if key, ok := ctx.Value(keyOf{}).([]byte); ok {
		record.Key = key
		return nil
	}
	mapper, ok := ctx.Value(mapperOf{}).(KeyMapper)
	if !ok || mapper == nil {
		return nil
	}
	event, err := metadata(ctx, *record)
	if err != nil {
		return err
	}
	record.Key, err = mapper(event)
	return err
}

// metadata reads back what was written. A structured event has to be parsed.
func metadata(ctx context.Context, record kafka.Message) (binding.MessageMetadataReader, error) {
	m := NewMessage(record)
	if m.encoding == binding.EncodingBinary {
		return m, m.refusal
	}
	e, err := binding.ToEvent(ctx, m)
	if err != nil {
		return nil, err
	}
	return (*binding.EventMessage)(e), nil
}
