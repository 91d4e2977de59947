package snapshot

import (
	"context"
	"fmt"

	"github.com/kelisim/kelisim/events/stream"
)

// ReadAll reads partitions of the topic from their beginnings to their ends, and
// calls each with every entry, in the order of each partition. The newest entry of
// a kind and subject counts. The reader is one of the state topic that reads
// nothing else. It returns the first error of each or of the reading; a record that
// is none of the topic is one.
func ReadAll(ctx context.Context, r *stream.Reader, partitions []int32, each func(partition int32, e Entry) error) error {
	open := make(map[int32]int64, len(partitions))
	for _, p := range partitions {
		open[p] = stream.Earliest
	}
	defer func() {
		for _, p := range partitions {
			r.Stop(p)
		}
	}()
	if err := r.Start(ctx, open); err != nil {
		return fmt.Errorf("read snapshots: %w", err)
	}
	for len(open) > 0 {
		fetch, err := r.Poll(ctx)
		if err != nil {
			return fmt.Errorf("read snapshots: %w", err)
		}
		ended, err := readFetch(fetch, open, each)
		fetch.Release()
		if err != nil {
			return fmt.Errorf("read snapshots: %w", err)
		}
		for _, p := range ended {
			delete(open, p)
			r.Stop(p)
		}
	}
	return nil
}

// readFetch returns the partitions that it read to their ends.
func readFetch(fetch *stream.Fetch, open map[int32]int64, each func(int32, Entry) error) (ended []int32, err error) {
	for i := range fetch.Batches {
		b := &fetch.Batches[i]
		if _, waiting := open[b.Partition]; !waiting {
			continue
		}
		for j := range b.Records {
			e, err := Read(&b.Records[j])
			if err == nil {
				err = each(b.Partition, e)
			}
			if err != nil {
				return nil, err
			}
		}
		if b.CaughtUp() {
			ended = append(ended, b.Partition)
		}
	}
	return ended, nil
}
