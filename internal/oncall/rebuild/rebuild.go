// Package rebuild builds a service's cache anew, beside the live one and while
// service and guards go on, and puts it in its place when it is known to be right.
//
//	snapshots or the whole log → staged keys → follow the log → compare → swap
//
// [Prepare] does all but the last, and says what the swap would change; a swap is
// one script for each partition, so that a guard sees the old whole or the new
// whole. The fold is the engine's own, on other keys and with a log that it reads
// without a group: nothing that a service does besides is done.
package rebuild

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/progress"
)

const (
	// lanes is how many partitions are staged at a time: two keep one Redis thread
	// busy, as in the engine.
	lanes = 2
	// look is how often it is looked where partitions stand: an event takes a
	// millisecond from the log into the cache.
	look = 2 * time.Millisecond
	// tries and pause are for a Redis that does not answer for a moment: a failover
	// takes seconds.
	tries = 20
	pause = 250 * time.Millisecond
	// memory is how many states the followers keep, over all partitions.
	memory = 400_000
)

// Config is what a rebuild is made of. All but FromLog, Witnesses, Progress and
// Logger are required.
type Config struct {
	Staging    *cache.Staging
	Live       *cache.Inspector
	Witnesses  []*cache.Inspector // caches of other services, whose digests the rebuilt one is compared with
	Kafka      stream.Config
	Events     string // topic of the decisions
	State      string // topic of the snapshots
	Rules      *events.Rules
	FromLog    bool          // whatever snapshots there are
	Remains    bool          // also from a log that has lost its beginning: what only stood there is lost
	Unverified bool          // swap also what no other cache bears out, or one contradicts
	Patience   time.Duration // how long a partition may take to find its moment; a minute when zero
	Progress   progress.Progress
	Logger     *slog.Logger
}

// Rebuild is a cache that is staged. Close it, whatever became of it.
type Rebuild struct {
	cfg   Config
	parts []*part
	plan  *Plan

	token   string                  // of the reservation; empty: none
	end     context.CancelCauseFunc // ends what follows and keeps the reservation
	keeping sync.WaitGroup
	life    context.Context // of the reservation
}

// Prepare stages partitions, all when none is named, follows the log with them,
// and compares them with what is live. The live cache is not touched. What an
// interrupted rebuild has left is removed first.
func Prepare(ctx context.Context, cfg Config, partitions ...int32) (*Rebuild, error) {
	live := cfg.Live.Layout()
	if len(partitions) == 0 {
		for p := range live.Partitions {
			partitions = append(partitions, p)
		}
	}
	if cfg.Progress == nil {
		cfg.Progress = progress.None()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Patience == 0 {
		cfg.Patience = time.Minute
	}
	r := &Rebuild{cfg: cfg}
	for _, p := range partitions {
		if p < 0 || p >= live.Partitions {
			return nil, exit.Misused("partition %d: %s has %d", p, live.Service, live.Partitions)
		}
		r.parts = append(r.parts, &part{Rebuild: r, id: p})
	}
	if err := r.prepare(ctx); err != nil {
		return nil, errors.Join(err, r.Close(context.WithoutCancel(ctx)))
	}
	return r, nil
}

func (r *Rebuild) prepare(ctx context.Context) error {
	if err := r.spots(ctx); err != nil {
		return err
	}
	if err := r.room(ctx); err != nil {
		return err
	}
	r.life, r.end = context.WithCancelCause(ctx)
	if err := r.reserve(r.life, r.end); err != nil {
		return err
	}
	ctx = r.life
	total, err := r.total(ctx)
	if err != nil {
		return err
	}
	r.cfg.Progress.Start(total)
	defer r.cfg.Progress.Done()
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(lanes)
	for _, p := range r.parts {
		group.Go(func() error { return p.stage(inner, ctx) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r.plan = &Plan{Service: r.cfg.Live.Layout().Service}
	for _, p := range r.parts {
		r.plan.add(&p.report)
	}
	return nil
}

// total is how much of the log there is to cover, by partition, by snapshots or by
// being followed: what the service has applied, which may be less than there is.
func (r *Rebuild) total(ctx context.Context) (map[int32]int64, error) {
	total := make(map[int32]int64, len(r.parts))
	for _, p := range r.parts {
		kept, err := p.kept(ctx)
		if err != nil {
			return nil, err
		}
		p.shown = kept.First
		total[p.id] = max(0, p.end-kept.First)
	}
	return total, nil
}

// spots refuses partitions that nobody has: there is nothing to take the place of.
func (r *Rebuild) spots(ctx context.Context) error {
	for _, p := range r.parts {
		live, err := spots(ctx, r.cfg.Live, p.id)
		if err != nil {
			return err
		}
		if !live.Known {
			return exit.Refuse("partition %d of %s has no position: start the service, which builds it from the log by itself",
				p.id, r.cfg.Live.Layout().Service)
		}
		p.end = live.Next
	}
	return nil
}

// spots reads where one partition of a cache stands.
func spots(ctx context.Context, in *cache.Inspector, partition int32) (spot cache.Spot, err error) {
	err = unshaken(ctx, func() error {
		all, err := in.Spots(ctx, partition)
		if err == nil {
			spot = all[0]
		}
		return err
	})
	return spot, err
}

// Plan says what the swap would change.
func (r *Rebuild) Plan() *Plan { return r.plan }

// Swap puts the staged partitions in the place of the live ones, one after the
// other. A partition that was swapped stays so when a later one fails.
func (r *Rebuild) Swap(ctx context.Context) error {
	for i, p := range r.parts {
		if err := context.Cause(r.life); err != nil {
			return err
		}
		if err := p.swap(ctx); err != nil {
			if i > 0 {
				return &exit.PartlyError{Err: err, Resume: fmt.Sprintf("rebuild from partition %d on", p.id)}
			}
			return err
		}
	}
	return nil
}

// Close ends the following and removes what is still staged.
func (r *Rebuild) Close(ctx context.Context) error {
	var faults []error
	if r.token != "" { // else what is staged is another's
		for _, p := range r.parts {
			faults = append(faults, p.close(ctx))
		}
	}
	return errors.Join(append(faults, r.unreserve(ctx))...)
}

// errPatience is why something is not waited for any longer.
var errPatience = errors.New("waited too long")

// wait calls f now and then until it is done, fails, or the patience is over.
func wait(ctx context.Context, patience time.Duration, what string, f func() (done bool, err error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%s: %w: %v", what, errPatience, patience))
	defer cancel()
	pace := time.NewTicker(look)
	defer pace.Stop()
	for {
		if done, err := f(); done || err != nil {
			return err
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// unshaken calls f again while Redis does not answer.
func unshaken(ctx context.Context, f func() error) (err error) {
	for range tries {
		if err = f(); !errors.Is(err, cache.ErrUnavailable) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// all returns the numbers of a partition's buckets.
func (r *Rebuild) all() []int32 {
	buckets := make([]int32, 0, r.cfg.Live.Layout().Buckets)
	for b := range r.cfg.Live.Layout().Buckets {
		buckets = append(buckets, b)
	}
	return slices.Clip(buckets)
}
