package cekafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/protocol"
	"github.com/segmentio/kafka-go"
)

// MessageReader is what a [Receiver] needs of a *kafka.Reader that is in a
// consumer group.
type MessageReader interface {
	FetchMessage(ctx context.Context) (kafka.Message, error)
	CommitMessages(ctx context.Context, messages ...kafka.Message) error
}

// commitTimeout ends a commit that no broker answers: it is above kafka-go's
// own limit for one try, and finishing a message must not hang for ever.
const commitTimeout = 15 * time.Second

// Receiver receives CloudEvents from a kafka-go reader, each at least once.
//
// Messages may be finished in any order and from any goroutine: an offset is
// committed only when all before it in its partition were acknowledged. A
// message finished with an error is not committed, and nothing behind it
// either, until its partition is assigned anew and delivers it again.
type Receiver struct {
	reader  MessageReader
	turn    chan struct{} // holds the one right to fetch: order of fetch is order of commit
	windows map[partition]*window
}

type partition struct {
	topic string
	id    int
}

var _ protocol.Receiver = (*Receiver)(nil)

// NewReceiver returns a receiver over r, which the caller keeps and closes.
func NewReceiver(r MessageReader) *Receiver {
	return &Receiver{reader: r, turn: make(chan struct{}, 1), windows: make(map[partition]*window)}
}

// Receive implements [protocol.Receiver]. It blocks until there is a message,
// and returns io.EOF once the reader is closed. A record that is no CloudEvent
// is returned like any other, with binding.EncodingUnknown, for the caller to
// decide; to skip it, finish it with nil.
func (r *Receiver) Receive(ctx context.Context) (binding.Message, error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	record, err := r.reader.FetchMessage(ctx)
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if err != nil {
		return nil, fmt.Errorf("receive CloudEvent: %w", err)
	}
	m := NewMessage(record)
	m.finish = r.track(context.WithoutCancel(ctx), record)
	return m, nil
}

// track notes a record as under way and returns what ends it.
func (r *Receiver) track(ctx context.Context, record kafka.Message) func(error) error {
	at := partition{record.Topic, record.Partition}
	w := r.windows[at]
	if w == nil || !w.follows(record.Offset) {
		// Delivered again: the partition was assigned anew, and what was
		// under way in the old assignment is not ours to commit any more.
		if w != nil {
			w.close()
		}
		w = newWindow()
		r.windows[at] = w
	}
	entry := w.add(record.Offset)
	return func(result error) error {
		if !protocol.IsACK(result) {
			return nil
		}
		return w.done(entry, func(offset int64) error {
			ctx, cancel := context.WithTimeout(ctx, commitTimeout)
			defer cancel()
			upTo := kafka.Message{Topic: at.topic, Partition: at.id, Offset: offset}
			if err := r.reader.CommitMessages(ctx, upTo); err != nil {
				return fmt.Errorf("commit %s/%d@%d: %w", at.topic, at.id, offset, err)
			}
			return nil
		})
	}
}
