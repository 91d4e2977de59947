package consumers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kelisim/kelisim/internal/cache"
)

// wideBatch is from how many states of one partition a batch is written as one of
// who is far behind: only who is behind has so many.
const wideBatch = 512

// writer stores windows: what cannot be applied goes to the parked topic first,
// then the states, the positions and the outbox.
type writer struct {
	*Consumer
	session  Session
	actor    *actor
	receipts *receipts
	lane     *lane
	aside    aside
	parking  sync.WaitGroup
}

func (w *writer) run(ctx context.Context) error {
	defer w.parking.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		select {
		case w.lane.idle <- struct{}{}:
		case o := <-w.aside.parked:
			if err := w.parkedLate(ctx, o); err != nil {
				return err
			}
			continue
		case <-ctx.Done():
			return ctx.Err()
		}
		var window []batch
		select {
		case window = <-w.lane.sealed:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := w.write(ctx, window); err != nil {
			return err
		}
	}
}

// store writes batches until each is stored or known to need another reading.
func (w *writer) store(ctx context.Context, open []batch) error {
	if len(open) == 0 {
		return nil
	}
	return w.insist(ctx, "store", func() error {
		began := time.Now()
		batches := make([]cache.Batch, len(open))
		for i := range open {
			batches[i] = open[i].Batch
			batches[i].Wide = len(open[i].Changes) >= wideBatch
			batches[i].Receipted = w.receipts.covered(open[i].partition.id)
		}
		var left []batch
		var worst error
		for i, res := range w.cfg.Store.Write(ctx, batches) {
			b, err := open[i], res.Err // a batch that an earlier try had brought there is no error
			switch {
			case err == nil:
				w.stored(b, res.Mark, began)
			case passing(err):
				left, worst = append(left, b), fmt.Errorf("store partition %d at %d: %w", b.Partition, b.From, err)
			default:
				if err := w.lose(ctx, b, err); err != nil {
					return err
				}
			}
		}
		open = left
		return worst
	})
}

// stored passes on what a stored batch leaves to do.
func (w *writer) stored(b batch, mark cache.Mark, began time.Time) {
	now := time.Now()
	w.metrics.stored(&b, now.Sub(began), now)
	b.partition.stored.Store(b.To)
	if err := w.session.Commit(map[int32]int64{b.Partition: b.To}); err != nil {
		w.log.Warn("commit refused", "err", err) // a hint only: the cache's position counts
	}
	w.receipts.decided(b, mark, now)
	w.actor.add(&b, now)
	if !b.acts {
		w.receipts.wake()
	}
}

// lose deals with a cache that is not where the fold thought: after a failover,
// a flush, or when another consumer owns the partition. The partition is read
// again from the cache's own position; a fenced consumer leaves its session. What
// had waited beside the lane while that happened is read again with the rest.
func (w *writer) lose(ctx context.Context, b batch, cause error) error {
	if errors.Is(cause, cache.ErrFenced) && b.partition.reclaimed(b.Epoch) {
		return nil
	}
	if errors.Is(cause, cache.ErrFenced) || errors.Is(cause, cache.ErrLayout) || errors.Is(cause, cache.ErrEvicting) {
		return fmt.Errorf("partition %d: %w", b.Partition, cause)
	}
	select {
	case w.lane.again <- lost{b.partition, b.life, cause}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
