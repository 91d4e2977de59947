package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/progress"
)

// Read calls each with every record that a topic holds by now, in the order of
// each partition. A record is valid during the call.
func (k *Cluster) Read(ctx context.Context, topic string, each func(*stream.Record) error) error {
	return k.ReadShown(ctx, topic, progress.None(), each)
}

// ReadShown does the same and shows how it goes on. It reads the named
// partitions; none means all.
func (k *Cluster) ReadShown(ctx context.Context, topic string, shown progress.Progress, each func(*stream.Record) error, partitions ...int32) error {
	return k.ReadSince(ctx, topic, time.Time{}, shown, each, partitions...)
}

// ReadSince leaves out what was appended before a moment, by the brokers' clocks.
func (k *Cluster) ReadSince(
	ctx context.Context, topic string, since time.Time, shown progress.Progress, each func(*stream.Record) error, partitions ...int32,
) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("topic %s: %w", topic, err)
		}
	}()
	reader, err := k.Reader(topic)
	if err != nil {
		return err
	}
	defer reader.Close()
	offsets, err := reader.Offsets(ctx, partitions...)
	if err != nil {
		return err
	}
	if !since.IsZero() {
		if err := k.shorten(ctx, topic, since, offsets); err != nil {
			return err
		}
	}
	ranges, total := make(map[int32]stream.Range, len(offsets)), make(map[int32]int64, len(offsets))
	for partition, o := range offsets {
		if total[partition] = o.End - o.First; o.First < o.End {
			ranges[partition] = stream.Range{From: o.First, To: o.End}
		}
	}
	shown.Start(total)
	defer shown.Done()
	return reader.Read(ctx, ranges, func(b *stream.Batch) error {
		for i := range b.Records {
			if err := each(&b.Records[i]); err != nil {
				return fmt.Errorf("partition %d, offset %d: %w", b.Partition, b.Records[i].Offset, err)
			}
		}
		shown.Add(b.Partition, int64(len(b.Records)))
		return nil
	})
}

// shorten makes offsets begin with the first record of a moment or later.
func (k *Cluster) shorten(ctx context.Context, topic string, since time.Time, offsets map[int32]stream.Offsets) error {
	admin, err := k.Admin()
	if err != nil {
		return err
	}
	found, err := admin.OffsetsAt(ctx, topic, since)
	for partition, o := range offsets {
		if o.First = max(o.First, min(found[partition], o.End)); found[partition] == stream.NoOffset {
			o.First = o.End
		}
		offsets[partition] = o
	}
	return err
}

// Rules returns what the services fold and answer by now.
func (k *Cluster) Rules(ctx context.Context) (*events.Rules, error) {
	book, err := k.Book(ctx)
	if err != nil {
		return nil, err
	}
	return book.RulesAt(time.Now()), nil
}
