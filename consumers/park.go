package consumers

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

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

// HeaderParkedLeftOut stands in front of those four where a copy was refused, by
// its size mostly: the copy then has no value and none of the record's headers, and
// this is how many bytes it lacks. The record is where it was, at its position.
const HeaderParkedLeftOut = "kelisim_left_out"

// maxBareKey bounds the key that a copy without its bytes keeps. A subject has at
// most 128 bytes (events.ParseSubject); a longer key may be what made it too large.
const maxBareKey = 1 << 10

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
	subject events.Subject  // of the key
	named   events.Subject  // whom the event names, if it is not the key's; zero: nobody else
	hold    bool            // they are held, each in its own partition
	reason  string
	message stream.Message

	elsewhere []events.Subject // those of them that are held in other partitions than the record's
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
	if m.Key == nil {
		m.Partition = stream.Beside(at.Position.Partition)
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
	return parked{at: at, first: at.Position, subject: subject, hold: !subject.IsZero(), reason: reason, message: m}
}

// ours is how many headers parking adds.
const ours = 4

// bare is the copy without the record's own bytes: what is kept when those are
// refused.
func (b *parked) bare() stream.Message {
	m := b.message
	left := len(m.Value)
	theirs, added := m.Headers[:len(m.Headers)-ours], m.Headers[len(m.Headers)-ours:]
	for _, h := range theirs {
		left += len(h.Key) + len(h.Value)
	}
	if len(m.Key) > maxBareKey {
		left += len(m.Key)
		m.Key, m.Partition = nil, stream.Beside(b.at.Position.Partition)
	}
	m.Value = nil
	m.Headers = append([]stream.Header{{Key: HeaderParkedLeftOut, Value: strconv.AppendInt(nil, int64(left), 10)}}, added...)
	return m
}
