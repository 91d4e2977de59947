package consumers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
)

// Config is what a Consumer is made of. Log, Store, Decoder, Publisher, Policy,
// Partitions and Generation are required.
type Config struct {
	Service    Service
	Policy     Policy
	Generation uint32 // of the topic
	Partitions int32  // of the topic

	Log       Log
	Decoder   func(*events.Rules) Decoder // that knows the purposes of the rules
	Store     Store
	Slots     func(partition int32) Slot // where a partition's keys live
	Publisher Publisher                  // of parked events and receipts; takes messages of deploy.MaxParkedBytes

	ParkedTopic   string // empty: consent.parked.v1
	ReceiptsTopic string // empty: consent.receipts.v1

	Memory int // states kept in the consumer, over all partitions; 0: 1,000,000, about 250 MB
	Logger *slog.Logger
	Meter  *Metrics
}

// Decoder reads an event out of a record. The event may be a view of it.
type Decoder interface {
	Decode(r *stream.Record, e *events.Event) error
}

// Publisher appends messages and returns when all in-sync replicas have them.
type Publisher interface {
	PublishAll(ctx context.Context, ms []stream.Message) ([]stream.Ack, error)
}

// Store is the part of the cache that the engine writes.
type Store interface {
	Claim(ctx context.Context, partition int32) (cache.Mark, error)
	Begin(ctx context.Context, partition int32, epoch, at int64) (cache.Mark, error)
	BeginTorso(ctx context.Context, partition int32, epoch, at int64) (cache.Mark, error)
	Load(ctx context.Context, partition int32, subjects []events.Subject) ([]events.State, error)
	Write(ctx context.Context, batches []cache.Batch) []cache.Result
	Pending(ctx context.Context, partition int32, limit int) ([]cache.Pending, error)
	Done(ctx context.Context, partition int32, epoch int64, acted []cache.Pending) (int64, error)
	Hold(ctx context.Context, subject events.Subject, at events.Position) error
	Release(ctx context.Context, subject events.Subject, at events.Position) error
	Publish(ctx context.Context, p cache.Policies) error
	States(ctx context.Context, partition, first, n int32) (all []cache.Kept, more bool, err error)
	Owe(ctx context.Context, partition int32, epoch int64, subjects []cache.Kept, note cache.Sweep) error
	Swept(ctx context.Context, partition int32) (cache.Sweep, error)
}

// defaultMemory is how many states a consumer keeps: at some 250 bytes each, with
// map and id, they fit a small container.
const defaultMemory = 1_000_000

// Consumer folds the log into one service's cache and drives its action.
type Consumer struct {
	cfg     Config
	due     trigger
	log     *slog.Logger
	metrics *Metrics
	owned   atomic.Int32 // partitions of the present session; -1: no session
}

// New checks the configuration and returns a consumer that is not running.
func New(cfg Config) (*Consumer, error) {
	serves, err := cfg.Policy.Current().Rules.Set(cfg.Service.Purposes...)
	switch {
	case err != nil:
		return nil, fmt.Errorf("consumer %s: %w", cfg.Service.Name, err)
	case cfg.Service.Name == "" || cfg.Service.Action == nil:
		return nil, errors.New("consumer: the service needs a name and an action")
	case cfg.Partitions < 1:
		return nil, fmt.Errorf("consumer %s: %d partitions", cfg.Service.Name, cfg.Partitions)
	}
	if cfg.ParkedTopic == "" {
		cfg.ParkedTopic = "consent.parked.v1"
	}
	if cfg.ReceiptsTopic == "" {
		cfg.ReceiptsTopic = "consent.receipts.v1"
	}
	if cfg.Memory == 0 {
		cfg.Memory = defaultMemory
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Meter == nil {
		cfg.Meter = NewMetrics(nil, cfg.Service.Name)
	}
	due := trigger{serves: serves, every: cfg.Service.EveryChange}
	c := &Consumer{cfg: cfg, due: due, log: cfg.Logger.With("service", cfg.Service.Name), metrics: cfg.Meter}
	c.owned.Store(-1)
	return c, nil
}

// Run consumes until ctx ends. It returns nil then, and an error only when it
// cannot go on at all.
func (c *Consumer) Run(ctx context.Context) error {
	for {
		err := c.cfg.Log.Run(ctx, c.session)
		switch {
		case ctx.Err() != nil:
			return nil
		case !errors.Is(err, cache.ErrFenced):
			return err
		}
		c.log.Warn("another consumer took a partition over; joining the group anew", "in", fencedPause.String(), "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(fencedPause):
		}
	}
}

// fencedPause lets the group settle who owns what before a fenced consumer claims
// anything again.
const fencedPause = time.Second

// Owned returns how many partitions the consumer has, and whether it is a member
// of its group at all.
func (c *Consumer) Owned() (int, bool) {
	n := c.owned.Load()
	return int(max(0, n)), n >= 0
}

// session folds the partitions of one generation of the group: a poller, in each
// lane a reader that folds and a writer that stores, and an actor, each with its
// own part of the line.
func (c *Consumer) session(ctx context.Context, s Session) error {
	if err := c.insist(ctx, "policy", func() error { return c.cfg.Policy.CatchUp(ctx) }); err != nil {
		return err // acting by an old policy would undo what the present one asks
	}
	receipts, parts := newReceipts(c), make(map[int32]*partition)
	actor := newActor(c, receipts, parts)
	poller := &poller{Consumer: c, session: s}
	var readers [lanes]*reader
	for i := range readers {
		poller.lanes[i] = newLane()
		readers[i] = &reader{
			Consumer: c, lane: poller.lanes[i], session: s, receipts: receipts, parts: make(map[int32]*partition),
			memory: c.cfg.Memory / max(1, len(s.Partitions())),
		}
		readers[i].goBy(c.cfg.Policy.Current())
	}
	if err := claim(ctx, readers[:], s.Partitions()); err != nil {
		return err
	}
	start := make(map[int32]int64)
	for _, r := range readers {
		for id, p := range r.parts {
			parts[id], start[id] = p, p.next
		}
	}
	if err := s.Start(start); err != nil {
		return err
	}
	c.owned.Store(int32(len(parts)))
	defer c.owned.Store(-1)
	defer c.metrics.leave()

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return poller.run(ctx) })
	for _, r := range readers {
		w := &writer{Consumer: c, session: s, actor: actor, receipts: receipts, lane: r.lane, aside: newAside()}
		group.Go(func() error { return r.run(ctx) })
		group.Go(func() error { return w.run(ctx) })
	}
	group.Go(func() error { return actor.run(ctx) })
	group.Go(func() error { return c.keepPublished(ctx) })
	group.Go(func() error { return receipts.run(ctx) })
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// claim has every lane claim its partitions, at the same time.
func claim(ctx context.Context, readers []*reader, partitions []int32) error {
	group, ctx := errgroup.WithContext(ctx)
	for lane, r := range readers {
		mine := slices.DeleteFunc(slices.Clone(partitions), func(id int32) bool { return laneOf(id) != lane })
		group.Go(func() error { return r.claim(ctx, mine...) })
	}
	return group.Wait()
}

// insist calls f until it succeeds, the error is one that only the caller can
// deal with, or ctx ends. Nothing is skipped: the partition waits, grows stale,
// and the guard denies.
func (c *Consumer) insist(ctx context.Context, what string, f func() error) error {
	pause, began := firstPause, time.Now()
	for {
		err := f()
		if err == nil || ctx.Err() != nil || !passing(err) {
			return err
		}
		c.metrics.retried(what)
		level := slog.LevelWarn
		if time.Since(began) >= longWait {
			level = slog.LevelError
		}
		c.log.Log(ctx, level, "trying again", "what", what, "in", pause.String(), "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryPause(err, pause)):
		}
		pause = min(2*pause, lastPause)
	}
}

// The pause between two tries grows from the first to the last: short enough
// that a failover is over within a second of Redis being back (DESIGN, P1: X is
// 5 s), long enough not to hammer what is down.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = 500 * time.Millisecond
	// longWait is from when on waiting is told as an error and not as a warning: as
	// long as guards believe a cache that is not proved fresh, so somebody is denied.
	longWait = 3 * time.Second
)
