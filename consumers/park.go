package consumers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
)

// Headers that the parked topic adds behind a record's own. Everything else of
// the record, headers included, stays byte for byte.
const (
	HeaderParkedPosition = "kelisim_position" // generation/partition@offset
	HeaderParkedAppended = "kelisim_appended" // Unix milliseconds
	HeaderParkedReason   = "kelisim_reason"
	HeaderParkedService  = "kelisim_service"
)

// Reasons of the engine's own, beside those of the decoder and the fold.
const (
	ReasonMisplaced    = "misplaced"      // in another partition than the subject's
	ReasonNoAppendTime = "no-append-time" // the topic keeps the producers' times: one key of the two is missing

	// ReasonUnknownPurpose is the decoder's: no version of the policy that is known
	// has the purpose.
	ReasonUnknownPurpose = string(cloudevent.UnknownPurpose)

	reasonUnnamed = "unreadable"
)

// parked is a record that could not be applied: its copy, and why.
type parked struct {
	at      events.Stamp
	first   events.Position // where it first stood: what the hold is known by
	subject events.Subject
	hold    bool // the subject is held
	away    bool // in its own partition, which is another than the record's
	reason  string
	message stream.Message
}

// reasoned is an error that knows a short stable name for itself.
type reasoned interface{ Reason() string }

func reasonOf(err error) string {
	var r reasoned
	if errors.As(err, &r) {
		return r.Reason()
	}
	return reasonUnnamed
}

// park copies a record out of its fetch for the parked topic.
func (c *Consumer) park(r *stream.Record, at events.Stamp, subject events.Subject, reason string) parked {
	m := stream.Message{
		Topic: c.cfg.ParkedTopic, Partition: stream.AnyPartition,
		Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value),
	}
	for headers := r.Headers; headers.Len() > 0; {
		key, value := headers.Next()
		m.Headers = append(m.Headers, stream.Header{Key: string(key), Value: bytes.Clone(value)})
	}
	for _, h := range [...][2]string{
		{HeaderParkedPosition, at.Position.String()},
		{HeaderParkedAppended, fmt.Sprint(int64(at.Appended))},
		{HeaderParkedReason, reason},
		{HeaderParkedService, c.cfg.Service.Name},
	} {
		m.Headers = append(m.Headers, stream.Header{Key: h[0], Value: []byte(h[1])})
	}
	return parked{
		at: at, first: at.Position, subject: subject, hold: !subject.IsZero(), reason: reason, message: m,
		away: !subject.IsZero() && events.PartitionOf(subject.Reveal(), c.cfg.Partitions) != at.Position.Partition,
	}
}

// keepAside publishes parked records and returns once the parked topic has
// acknowledged them all: only then may the position move.
func (c *Consumer) keepAside(ctx context.Context, bad []parked) error {
	if len(bad) == 0 {
		return nil
	}
	messages := make([]stream.Message, len(bad))
	for i := range bad {
		messages[i] = bad[i].message
	}
	if _, err := c.cfg.Publisher.PublishAll(ctx, messages); err != nil {
		return fmt.Errorf("park %d records from %s on: %w", len(bad), bad[0].at.Position, err)
	}
	for _, b := range bad {
		if b.away && b.hold {
			if err := c.cfg.Store.Hold(ctx, b.subject, b.first); err != nil {
				return fmt.Errorf("hold the subject of %s: %w", b.at.Position, err)
			}
		}
		c.metrics.parked(b.reason)
		c.log.Error("event parked", "position", b.at.Position.String(), "reason", b.reason, "subject", b.subject,
			"age", time.Since(b.at.Appended.Time()).Round(time.Millisecond).String())
	}
	return nil
}
