package consumers

import (
	"context"

	"github.com/kelisim/kelisim/events/stream"
)

// Log is the membership in a consumer group.
type Log interface {
	// Run calls handle with one session after another until ctx ends. A
	// session's context ends when its partitions are taken away.
	Run(ctx context.Context, handle func(context.Context, Session) error) error
}

// Session is one generation of the group: partitions to read until its context
// ends.
type Session interface {
	Partitions() []int32
	// LogStart returns the first offset that the log still has.
	LogStart(ctx context.Context, partition int32) (int64, error)
	// Start begins to read at the given offsets, one for each partition.
	Start(offsets map[int32]int64) error
	// Poll returns what the next fetch brought. It waits, and an empty answer of
	// a long poll counts: it proves that nothing is there.
	Poll(ctx context.Context) (*stream.Fetch, error)
	// Seek reads a partition from another offset on.
	Seek(partition int32, offset int64) error
	// Commit tells the group how far the partitions are. It does not wait; the
	// position that counts is the cache's.
	Commit(offsets map[int32]int64) error
}

// FromStream returns the log behind a Kafka consumer.
func FromStream(c *stream.Consumer) Log { return streamLog{c} }

type streamLog struct{ consumer *stream.Consumer }

func (l streamLog) Run(ctx context.Context, handle func(context.Context, Session) error) error {
	return l.consumer.Run(ctx, func(ctx context.Context, s *stream.Session) error { return handle(ctx, s) })
}
