package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrReaderClosed is returned by Poll after Close.
var ErrReaderClosed = errors.New("reader is closed")

// ReaderConfig describes reading without a group: verification, replays, tests, tools. The fields mean
// what they mean in ConsumerConfig.
type ReaderConfig struct {
	Config
	Topic                            string
	MaxWait                          time.Duration
	MaxFetchBytes, PartitionMaxBytes int32
	MaxFrameBytes                    int
	Stall                            time.Duration
	Watch                            Watch
}

// Reader reads partitions that its caller chooses. Poll and TryPoll belong to one goroutine.
type Reader struct {
	links   *links
	fetcher *fetcher
	ctx     context.Context
	cancel  context.CancelCauseFunc
	group   sync.WaitGroup
}

// Range is a part of a partition: From may be Earliest; To is exclusive.
type Range struct {
	From, To int64
}

// NewReader makes a Reader that reads nothing until Start. The caller closes it.
func NewReader(conf ReaderConfig) (*Reader, error) {
	fetch, err := fetchConfig{
		Topic: conf.Topic, MaxWait: conf.MaxWait,
		MaxFetchBytes: conf.MaxFetchBytes, PartitionMaxBytes: conf.PartitionMaxBytes,
		MaxFrameBytes: conf.MaxFrameBytes, MaxUnpackedBytes: conf.MaxUnpackedBytes,
		Stall: conf.Stall, Watch: conf.Watch,
	}.complete()
	if err != nil {
		return nil, err
	}
	links, err := newLinks(conf.Config, conf.Topic)
	if err != nil {
		return nil, err
	}
	r := &Reader{links: links, fetcher: newFetcher(fetch, links, conf.logger())}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	r.group.Go(func() { r.fetcher.run(r.ctx) })
	return r, nil
}

// Close ends reading and waits for what is under way. Fetches that were handed out stay valid.
func (r *Reader) Close() {
	r.cancel(ErrReaderClosed)
	r.group.Wait()
	r.links.close()
}

// Offsets tells the range of the named partitions, of all when none is named.
func (r *Reader) Offsets(ctx context.Context, partitions ...int32) (map[int32]Offsets, error) {
	return r.links.offsets(ctx, partitions...)
}

// Start begins to read partitions, or reads on elsewhere if they had been started; offsets may be Earliest.
func (r *Reader) Start(ctx context.Context, from map[int32]int64) error {
	return r.fetcher.start(ctx, from)
}

// Stop ends reading of a partition; what was under way for it is dropped.
func (r *Reader) Stop(partition int32) { r.fetcher.drop(partition) }

// Poll waits for the next answer, as Session.Poll does.
func (r *Reader) Poll(ctx context.Context) (*Fetch, error) {
	return r.fetcher.next(ctx, r.ctx)
}

// TryPoll gives what is already there, as Session.TryPoll does.
func (r *Reader) TryPoll() (*Fetch, bool) { return r.fetcher.try() }

// Read reads ranges to their ends and calls each with every batch that holds records of them, cut to the
// range. It returns the first error of each or of a partition. Records are valid during the call.
func (r *Reader) Read(ctx context.Context, ranges map[int32]Range, each func(*Batch) error) error {
	from := make(map[int32]int64, len(ranges))
	for p, part := range ranges {
		if part.From < part.To {
			from[p] = part.From
		}
	}
	defer func() {
		for p := range ranges {
			r.Stop(p)
		}
	}()
	if err := r.Start(ctx, from); err != nil {
		return err
	}
	for len(from) > 0 {
		fetch, err := r.Poll(ctx)
		if err != nil {
			return fmt.Errorf("read %s: %w", r.fetcher.conf.Topic, err)
		}
		for i := range fetch.Batches {
			if err := r.readBatch(&fetch.Batches[i], ranges, from, each); err != nil {
				return err
			}
		}
		fetch.Release()
	}
	return nil
}

// readBatch hands one batch on and takes the partition out of open when its range is done.
func (r *Reader) readBatch(b *Batch, ranges map[int32]Range, open map[int32]int64, each func(*Batch) error) error {
	part, wanted := ranges[b.Partition]
	if _, waiting := open[b.Partition]; !wanted || !waiting {
		return nil
	}
	for n := len(b.Records); n > 0 && b.Records[n-1].Offset >= part.To; n-- {
		b.Records = b.Records[:n-1]
	}
	if b.Next >= part.To {
		delete(open, b.Partition)
		r.Stop(b.Partition)
	}
	if len(b.Records) == 0 {
		return nil
	}
	return each(b)
}
