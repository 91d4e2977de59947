// Package parked looks after what no service could apply: it lists what lies in
// consent.parked.v1, shows it, publishes it again, or says that nothing more will
// come of it.
//
// Each service parks its own copy of an event. What belongs together is a [Case],
// known by the position where the event first stood in the log: it is redriven
// once, not once for every service.
//
// The parked topic is also the ledger. What was done about a case is written
// behind its copies, into the same partition, as a [Marker]: it lives as long as
// the copies do, needs no topic of its own, and no right that the writer of the
// copies does not have. So nothing is lost when Redis is, and nothing is done
// twice: whoever died between publishing an event and saying so finds his event
// in the log the next time, by its first position.
package parked

import (
	"context"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
)

// Topics are what is read and written.
type Topics struct {
	Events, Parked string
	Generation     uint32 // of the events
	Partitions     int32  // of the events
}

// Log reads topics.
type Log interface {
	Offsets(ctx context.Context, topic string) (map[int32]stream.Offsets, error)
	OffsetsAt(ctx context.Context, topic string, at time.Time) (map[int32]int64, error)
	Read(ctx context.Context, topic string, ranges map[int32]stream.Range, each func(*stream.Batch) error) error
}

// Publisher appends messages. [stream.Producer] is one.
type Publisher interface {
	Publish(ctx context.Context, m stream.Message) (stream.Ack, error)
}

// Cache is one service's cache. [cache.Mender] is one.
type Cache interface {
	Layout() cache.Layout
	Look(ctx context.Context, partition int32, subjects []events.Subject) (cache.Sight, error)
	StateOf(partition int32, stored string) (events.State, error)
	Holding(ctx context.Context, subject events.Subject) (cache.Holding, error)
	Release(ctx context.Context, subject events.Subject, at events.Position) error
}

// Decoder reads an event out of a record.
type Decoder interface {
	Decode(r *stream.Record, e *events.Event) error
}

// Desk is where parked events are looked after. Log, Topics, Rules and Decoder are
// required for anything; Publisher for what writes; Caches, by service, for
// whoever is held.
type Desk struct {
	Log       Log
	Publisher Publisher
	Topics    Topics
	Rules     *events.Rules
	Decoder   Decoder
	Caches    map[string]Cache
	Operator  string // for the markers
	Now       func() time.Time
}

func (d *Desk) now() time.Time {
	if d.Now != nil {
		return d.Now()
	}
	return time.Now()
}
