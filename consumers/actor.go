package consumers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

const (
	// actTurns is how many subjects one call of an action gets: its scripts block
	// Redis for some milliseconds at most.
	actTurns = 200
	// actPause keeps rounds apart: at thousands of events a second a round then has
	// several turns of a partition instead of one, and takes the processor from
	// those that decide a third as often. The guard denies before any of it.
	actPause = 5 * time.Millisecond
	// actLanes is how many partitions are acted on at the same time: enough to
	// hide round trips, few enough to leave Redis to the writer.
	actLanes = 4
)

// actor has the service act on the subjects whose standing changed, and takes
// them out of the outbox. A crash anywhere in between only makes it act again.
type actor struct {
	*Consumer
	*duties
	receipts *receipts
	parts    map[int32]*partition
	order    []int32   // of the partitions, in which they are swept
	rested   time.Time // when the sweep may go on
}

func newActor(c *Consumer, receipts *receipts, parts map[int32]*partition) *actor {
	return &actor{Consumer: c, duties: newDuties(), receipts: receipts, parts: parts}
}

func (a *actor) run(ctx context.Context) error {
	a.order = slices.Sorted(maps.Keys(a.parts))
	for {
		due, wait := a.take(time.Now())
		group, inner := errgroup.WithContext(ctx)
		group.SetLimit(actLanes)
		for id, d := range due {
			group.Go(func() error { return a.drain(inner, a.parts[id], d) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
		rest, err := a.sweepOn(ctx)
		if err != nil {
			return err
		}
		wait = min(wait, rest)
		woken := a.woken
		if len(due) > 0 {
			woken, wait = nil, actPause // whoever wakes us meanwhile is seen after it
		}
		select {
		case <-woken:
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// errElsewhere ends the acting on a partition whose cache was flushed, or as good
// as: the reader finds out, reads the log again, and has the outbox read then.
var errElsewhere = errors.New("the cache is not where it was")

// drain acts on what a partition's duty holds and, when the outbox may hold more,
// on that until it is empty.
func (a *actor) drain(ctx context.Context, p *partition, d *duty) error {
	if d.edition != nil {
		if err := a.turn(ctx, p, d); err != nil {
			return elsewhere(err)
		}
	}
	if p.acting == nil {
		return nil // it could not be told by which edition: the outbox keeps what is due
	}
	turns, all := p.undone(d.turns)
	more := d.ask || !all
	for turns := range slices.Chunk(turns, actTurns) {
		acted, err := a.settle(ctx, p, func() ([]cache.Pending, error) { return newest(turns), nil })
		if err != nil {
			return elsewhere(err)
		}
		more = acted < d.to // a state that changed again without anything to do, say
	}
	if !more {
		return nil
	}
	return elsewhere(a.empty(ctx, p))
}

// empty acts on what is in a partition's outbox until nothing is: whoever changed while
// it was acted on stays there, and a change that asks for no action of its own calls
// nobody.
func (a *actor) empty(ctx context.Context, p *partition) error {
	for more := true; more; {
		found := 0
		_, err := a.settle(ctx, p, func() ([]cache.Pending, error) {
			turns, err := a.cfg.Store.Pending(ctx, p.id, actTurns)
			found = len(turns)
			return turns, err
		})
		if err != nil {
			return err
		}
		more = found > 0
	}
	return nil
}

func elsewhere(err error) error {
	if errors.Is(err, errElsewhere) {
		return nil
	}
	return err
}

// settle acts on one lot of turns until that is done, and returns the position
// acted up to.
func (a *actor) settle(ctx context.Context, p *partition, turns func() ([]cache.Pending, error)) (acted int64, err error) {
	err = a.owning(ctx, p, "act", func(epoch int64) error {
		acted, err = a.act(ctx, p, epoch, turns)
		return err
	})
	return acted, err
}

// act does one round: what is due, and what then is done.
func (a *actor) act(ctx context.Context, p *partition, epoch int64, due func() ([]cache.Pending, error)) (int64, error) {
	partition := p.id
	lot, err := due()
	if err != nil {
		return 0, fmt.Errorf("read the outbox of partition %d: %w", partition, err)
	}
	turns := make([]Turn, len(lot))
	for i, d := range lot {
		version, _ := d.State.Version()
		turns[i] = Turn{Subject: d.Subject, State: d.State, Standing: p.acting.Rules.Standing(d.State), Version: version}
	}
	if len(turns) > 0 || a.cfg.Service.EveryChange {
		slot := a.cfg.Slots(partition)
		slot.Epoch, slot.Serves = epoch, a.servingBy(p.acting)
		if err := a.cfg.Service.Action.Act(ctx, slot, turns); err != nil {
			a.metrics.actFailed()
			return 0, fmt.Errorf("act on %d subjects of partition %d: %w", len(turns), partition, err)
		}
	}
	acted, err := a.cfg.Store.Done(ctx, partition, epoch, lot)
	if err != nil {
		return 0, fmt.Errorf("take %d subjects of partition %d out of the outbox: %w", len(lot), partition, err)
	}
	p.done = acted
	a.metrics.acted(len(lot))
	a.receipts.acted(partition, acted)
	return acted, nil
}

// undone leaves out the turns that were acted on meanwhile, as they were or newer, out
// of the outbox: acted on now they would bring back what is over, where their subject
// changed once more. It says whether all are left. What the outbox has is read there.
func (p *partition) undone(turns []cache.Pending) (left []cache.Pending, all bool) {
	n := len(turns)
	left = slices.DeleteFunc(turns, func(t cache.Pending) bool { return t.Offset < p.done })
	return left, len(left) == n
}

// newest returns the last turn of each subject.
func newest(turns []cache.Pending) []cache.Pending {
	out := make([]cache.Pending, 0, len(turns))
	seen := make(map[events.Subject]struct{}, len(turns))
	for _, t := range slices.Backward(turns) {
		if _, later := seen[t.Subject]; !later {
			seen[t.Subject] = struct{}{}
			out = append(out, t)
		}
	}
	slices.Reverse(out)
	return out
}
