package stream

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"
)

// offsetStore is where commits go: a generation of the group.
type offsetStore interface {
	CommitOffsets(offsets map[string]map[int]int64) error
}

// committer writes offsets to the group, the newest of each partition, at most once per interval. It
// lives inside one generation: offsets can reach the group only while it does, and whatever is still
// unwritten goes out at its end. (A commit of kafka-go's Reader can slip into the next generation and
// set another member's offset back: kafka-go#1308.)
type committer struct {
	store    offsetStore
	topic    string
	interval time.Duration
	log      *slog.Logger
	told     func(partitions int, err error)
	wake     chan struct{}

	mu      sync.Mutex
	pending map[int]int64
	written map[int]int64 // what the group knows: saying it again would only fill its log
}

func newCommitter(store offsetStore, topic string, interval time.Duration, log *slog.Logger, told func(int, error)) *committer {
	return &committer{store: store, topic: topic, interval: interval, log: log, told: told,
		wake: make(chan struct{}, 1), pending: map[int]int64{}, written: map[int]int64{}}
}

// add replaces what is pending for the partitions.
func (c *committer) add(offsets map[int32]int64) {
	c.mu.Lock()
	for p, offset := range offsets {
		if known, ok := c.written[int(p)]; ok && known == offset {
			delete(c.pending, int(p))
			continue
		}
		c.pending[int(p)] = offset
	}
	idle := len(c.pending) == 0
	c.mu.Unlock()
	if idle {
		return
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run writes until ctx ends, and then once more.
func (c *committer) run(ctx context.Context) {
	defer c.flush()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		c.flush()
		if !pause(ctx, c.interval) {
			return
		}
	}
}

// flush writes what is pending. What could not be written is pending again unless newer has come.
func (c *committer) flush() {
	c.mu.Lock()
	batch := c.pending
	c.pending = map[int]int64{}
	for p := range batch {
		delete(c.written, p) // until it is certain
	}
	c.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	err := c.store.CommitOffsets(map[string]map[int]int64{c.topic: batch})
	if c.told != nil {
		c.told(len(batch), err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		maps.Copy(c.written, batch)
		return
	}
	c.log.Warn("kafka: offsets not committed", "topic", c.topic, "partitions", len(batch), "err", err)
	maps.Copy(batch, c.pending)
	c.pending = batch
}
