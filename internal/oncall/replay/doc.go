// Package replay repairs a service's cache from the log while everything runs.
//
// It comes in two steps. A [Plan] says what a range of the log would change: it
// is made by folding the whole history of every subject of the range (a fold of a
// mere window is nobody's state) and comparing it with what each service holds.
// Applying the plan does exactly that, or refuses because the world has moved on.
//
// It joins no group, moves no offset and owns no partition. The live consumer
// stays the only owner: a state is replaced only if it still is what was judged,
// at a position where the log says that the judgement holds, and the owner then
// reads all anew ([cache.Mender], docs/decisions/0017). What is right is never
// touched, so replaying a healthy cache changes no byte of it.
package replay

import (
	"context"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/basis"
)

// Log is the log of decisions, and what is asked of its cluster.
type Log interface {
	Cluster(ctx context.Context) (stream.Cluster, error)
	Offsets(ctx context.Context, topic string) (map[int32]stream.Offsets, error)
	OffsetsAt(ctx context.Context, topic string, at time.Time) (map[int32]int64, error)
	Read(ctx context.Context, topic string, ranges map[int32]stream.Range, each func(*stream.Batch) error) error
	Reader(topic string) (*stream.Reader, error)
}

// Decoder reads an event out of a record.
type Decoder interface {
	Decode(r *stream.Record, e *events.Event) error
}

// Cache is one service's cache. [cache.Mender] is one.
type Cache interface {
	Layout() cache.Layout
	Look(ctx context.Context, partition int32, subjects []events.Subject) (cache.Sight, error)
	StateOf(partition int32, stored string) (events.State, error)
	Mend(ctx context.Context, partition int32, lo, hi int64, mends []cache.Mend) ([]cache.Verdict, error)
	Redigest(ctx context.Context, partition int32) (bool, error)
	Holding(ctx context.Context, subject events.Subject) (cache.Holding, error)
	Hold(ctx context.Context, subject events.Subject, at events.Position) error
}

// Progress is told how far it is. That of package progress is one.
type Progress interface {
	Start(total map[int32]int64)
	Add(partition int32, n int64)
	Done()
}

// Bench is what replaying works with. All of it is required but State, Witnesses,
// Progress, Pace and Hold.
type Bench struct {
	Log        Log
	Topic      string // of the events
	Generation uint32
	Partitions int32
	Rules      *events.Rules // what the services fold by
	Decoder    Decoder
	Caches     map[string]Cache // by service

	State     string        // topic of the snapshots, for a log that has lost its beginning; "": there are none
	Witnesses []basis.Spots // of all services, whether replayed or not: who may bear snapshots out
	Patience  time.Duration // with who could; 0: basis.DefaultPatience

	Progress Progress
	Pace     float64                         // records read and states written a second; 0: no limit
	Hold     func(ctx context.Context) error // asked before each step: returns when it is to go on
}
