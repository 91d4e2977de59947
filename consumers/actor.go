package consumers

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/kelisim/kelisim/internal/cache"
)

const (
	// actTurns is how many subjects one call of an action gets: its scripts block
	// Redis for some milliseconds at most.
	actTurns = 200
	// actLanes is how many partitions are acted on at the same time: enough to
	// hide round trips, few enough to leave Redis to the writer.
	actLanes = 4
)

// actor drains the outbox: it reads which subjects' standing changed, has the
// service act on where they stand now, and takes them out. A crash anywhere in
// between only makes it act again.
type actor struct {
	*Consumer
	receipts *receipts
	parts    map[int32]*partition

	woken chan struct{} // something is due
	mu    sync.Mutex
	due   map[int32]struct{}
}

func newActor(c *Consumer, receipts *receipts, parts map[int32]*partition) *actor {
	return &actor{Consumer: c, receipts: receipts, parts: parts, woken: make(chan struct{}, 1), due: make(map[int32]struct{})}
}

// wake says that a partition's outbox has something. It never waits.
func (a *actor) wake(partition int32) {
	a.mu.Lock()
	a.due[partition] = struct{}{}
	a.mu.Unlock()
	select {
	case a.woken <- struct{}{}:
	default: // it is awake and has yet to look
	}
}

// take returns the partitions that are due, once.
func (a *actor) take() map[int32]struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	due := a.due
	a.due = make(map[int32]struct{})
	return due
}

func (a *actor) run(ctx context.Context) error {
	for id := range a.parts {
		a.wake(id) // what an earlier owner left
	}
	for {
		select {
		case <-a.woken:
		case <-ctx.Done():
			return ctx.Err()
		}
		due := a.take()
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(actLanes)
		for id := range due {
			group.Go(func() error { return a.drain(ctx, a.parts[id]) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
}

// drain acts on a partition's outbox until it is empty.
func (a *actor) drain(ctx context.Context, p *partition) error {
	for more := true; more; {
		err := a.insist(ctx, "act", func() error {
			epoch := p.epoch.Load()
			err := a.act(ctx, p.id, epoch, &more)
			switch {
			case errors.Is(err, cache.ErrFenced) && p.epoch.Load() != epoch:
				return nil // we claimed it anew ourselves meanwhile: once more
			case errors.Is(err, cache.ErrMoved), errors.Is(err, cache.ErrDamaged):
				more = false // flushed, or as good as: the reader finds out, reads again and wakes us
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// act does one round: what is due, and what then is done.
func (a *actor) act(ctx context.Context, partition int32, epoch int64, more *bool) error {
	due, err := a.cfg.Store.Pending(ctx, partition, actTurns)
	if err != nil {
		return fmt.Errorf("read the outbox of partition %d: %w", partition, err)
	}
	turns := make([]Turn, len(due))
	for i, d := range due {
		version, _ := d.State.Version()
		turns[i] = Turn{Subject: d.Subject, Standing: a.cfg.Rules.Standing(d.State), Version: version}
	}
	if len(turns) > 0 {
		if err := a.cfg.Service.Action.Act(ctx, a.cfg.Slots(partition), turns); err != nil {
			a.metrics.actFailed()
			return fmt.Errorf("act on %d subjects of partition %d: %w", len(turns), partition, err)
		}
	}
	acted, err := a.cfg.Store.Done(ctx, partition, epoch, due)
	if err != nil {
		return fmt.Errorf("take %d subjects of partition %d out of the outbox: %w", len(due), partition, err)
	}
	a.metrics.acted(len(due))
	a.receipts.acted(partition, acted)
	*more = len(due) == actTurns
	return nil
}
