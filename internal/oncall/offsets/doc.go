// Package offsets shows and moves what the services' consumer groups have
// committed to Kafka.
//
// A committed offset is a hint: a service reads on from the position that its
// cache holds in Redis, whatever its group has committed. So moving an offset
// makes no service read anything again (that is package replay), and it loses
// nothing. It is for what reads the hint: lag exporters, alarms, and a group that
// was renamed.
//
// A group that has members is never touched. Every move writes a snapshot first,
// and [Undo] takes it back.
package offsets

import (
	"context"
	"time"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
)

// Log is what is asked of Kafka. [stream.Admin] is one.
type Log interface {
	Cluster(ctx context.Context) (stream.Cluster, error)
	Group(ctx context.Context, name string) (stream.Group, error)
	Offsets(ctx context.Context, topic string) (map[int32]stream.Offsets, error)
	OffsetsAt(ctx context.Context, topic string, at time.Time) (map[int32]int64, error)
	CommittedOffsets(ctx context.Context, group, topic string) (map[int32]int64, error)
	SetCommittedOffsets(ctx context.Context, group, topic string, offsets map[int32]int64) error
}

// Cache is one service's cache. [cache.Reader] is one.
type Cache interface {
	Stands(ctx context.Context) ([]cache.Stand, error)
}

// Group is one service's consumer group.
type Group struct {
	Service string
	Name    string
	Cache   Cache // nil: not asked
}
