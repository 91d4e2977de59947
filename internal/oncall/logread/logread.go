// Package logread reads topics whole or in part, without a group and without
// leaving a trace: what consentctl reads moves nobody's offset.
package logread

import (
	"context"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events/stream"
)

// Log reads topics of one cluster. It is safe for concurrent use, and opens and
// closes its connections with each call.
type Log struct {
	conf  stream.Config
	admin *stream.Admin
}

// New checks the configuration. It opens no connection.
func New(conf stream.Config) (*Log, error) {
	admin, err := stream.NewAdmin(conf)
	if err != nil {
		return nil, err
	}
	return &Log{conf, admin}, nil
}

// Cluster tells which cluster it is.
func (l *Log) Cluster(ctx context.Context) (stream.Cluster, error) { return l.admin.Cluster(ctx) }

// Offsets tells the range of every partition of a topic.
func (l *Log) Offsets(ctx context.Context, topic string) (map[int32]stream.Offsets, error) {
	return l.admin.Offsets(ctx, topic)
}

// OffsetsAt tells, for every partition, the first offset whose record is of the
// given time or later; -1 where there is none.
func (l *Log) OffsetsAt(ctx context.Context, topic string, at time.Time) (map[int32]int64, error) {
	return l.admin.OffsetsAt(ctx, topic, at)
}

// Read calls each with every batch of the ranges, in the order of each partition.
// Records are valid during the call. A range that ends beyond the log waits.
func (l *Log) Read(ctx context.Context, topic string, ranges map[int32]stream.Range, each func(*stream.Batch) error) error {
	r, err := stream.NewReader(stream.ReaderConfig{Config: l.conf, Topic: topic})
	if err != nil {
		return fmt.Errorf("read topic %s: %w", topic, err)
	}
	defer r.Close()
	if err := r.Read(ctx, ranges, each); err != nil {
		return fmt.Errorf("read topic %s: %w", topic, err)
	}
	return nil
}

// Reader returns a reader of a topic that stays open, for who reads on and on. The
// caller closes it.
func (l *Log) Reader(topic string) (*stream.Reader, error) {
	return stream.NewReader(stream.ReaderConfig{Config: l.conf, Topic: topic})
}
