package consumers

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/kelisim/kelisim/internal/cache"
)

// lost names a partition whose cache is not where the fold thought.
type lost struct {
	partition *partition
	life      int
	cause     error
}

// AlarmTorso counts the partitions that are built from a log that has lost its
// beginning: nobody is allowed by them until they are rebuilt from snapshots.
const AlarmTorso = "log-without-beginning"

// claimsAtOnce is how many partitions a lane claims at the same time: each claim is
// a few round trips, during which the partition stands still for everybody.
const claimsAtOnce = 8

// claim takes the lane's partitions over. Each is to be read from where the cache
// stands: the group's offset in Kafka is only a hint.
func (r *reader) claim(ctx context.Context, ids ...int32) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(claimsAtOnce)
	for _, id := range ids {
		p := &partition{id: id, lag: r.metrics.lagOf(id)}
		r.parts[id] = p
		group.Go(func() error { return r.take(ctx, p, false) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, id := range ids {
		r.announce(r.parts[id])
	}
	return nil
}

// announce has the partition's next part say by which edition of the policy it goes.
func (r *reader) announce(p *partition) { r.window.of(p).turned = true }

// take claims one partition in the cache. Where the cache knows nothing, or not
// all, it is built from the beginning of the log, and is no more than a torso where
// that is lost: nobody is allowed by it. It touches nothing of the reader that other
// partitions share.
func (r *reader) take(ctx context.Context, p *partition, anew bool) error {
	p.taking.Store(true)
	defer p.taking.Store(false)
	err := r.insist(ctx, "claim", func() error {
		mark, err := r.cfg.Store.Claim(ctx, p.id)
		if err != nil {
			return fmt.Errorf("claim partition %d: %w", p.id, err)
		}
		if err := r.publish(ctx, r.edition); err != nil {
			return err
		}
		if mark.Known && !anew {
			p.begin(mark, r.memory, false)
			r.receipts.begin(p.id, mark)
			return nil
		}
		first, err := r.session.LogStart(ctx, p.id)
		if err != nil {
			return fmt.Errorf("find the start of partition %d: %w", p.id, err)
		}
		begin := r.cfg.Store.Begin
		if first > 0 { // who stopped in the lost part may seem to permit by what is left
			begin = r.cfg.Store.BeginTorso
		}
		mark, err = begin(ctx, p.id, mark.Epoch, first)
		switch {
		case errors.Is(err, cache.ErrMoved): // no cause to leave: claiming it once more helps
			return fmt.Errorf("begin partition %d: flushed since it was claimed: %s", p.id, err.Error())
		case err != nil:
			return fmt.Errorf("begin partition %d: %w", p.id, err)
		}
		if first > 0 {
			r.metrics.alarmed(AlarmTorso)
			r.log.Error("the log has lost its beginning, and the cache its states: guards deny until the partition is rebuilt from snapshots",
				"partition", p.id, "from", first)
		}
		r.log.Info("building from the log", "partition", p.id, "from", first)
		p.begin(mark, r.memory, mark.Digest == 0)
		p.mending = anew
		r.receipts.begin(p.id, mark)
		return nil
	})
	if err != nil {
		return err
	}
	if p.vacant {
		p.even.Store(&even{p.epoch.Load(), r.edition})
	}
	return nil
}

// reread starts a partition again from where the cache stands.
func (r *reader) reread(ctx context.Context, l lost) error {
	p := l.partition
	if p.life != l.life {
		return nil // already done
	}
	r.log.Warn("reading again from the cache's position", "partition", p.id, "folded", p.next, "cause", l.cause)
	r.metrics.reread()
	r.window.forget(p)
	if err := r.take(ctx, p, errors.Is(l.cause, cache.ErrDamaged)); err != nil {
		return err
	}
	r.announce(p)
	return r.session.Seek(p.id, p.next)
}
