package consumers

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/kelisim/kelisim/events/stream"
)

// poller moves fetches from the session to the lanes that have a share in them.
type poller struct {
	*Consumer
	session Session
	lanes   [lanes]*lane
}

// delivery is a fetch on its way through the lanes. Its memory goes back when the
// last of them is done with it.
type delivery struct {
	*stream.Fetch
	open *atomic.Int32
}

func (d delivery) done() {
	if d.open.Add(-1) == 0 {
		d.Release()
	}
}

// run never skips: a partition that the log cannot serve stands still, grows stale
// and is denied until someone answers for the gap. That is an alarm.
func (p *poller) run(ctx context.Context) error {
	for {
		f, err := p.session.Poll(ctx)
		var gap *stream.OutOfRangeError
		var corrupt *stream.CorruptError
		var refused *stream.PartitionError
		switch {
		case errors.As(err, &gap), errors.As(err, &corrupt), errors.As(err, &refused):
			p.metrics.stopped()
			p.log.Error("partition stands still", "err", err)
			continue
		case err != nil:
			return err
		}
		if err := p.deliver(ctx, f); err != nil {
			return err
		}
	}
}

// deliver hands a fetch to every lane with a partition in it.
func (p *poller) deliver(ctx context.Context, f *stream.Fetch) error {
	var to [lanes]bool
	d := delivery{f, new(atomic.Int32)}
	d.open.Add(1) // ours, while we hand it over
	defer d.done()
	for i := range f.Batches {
		to[laneOf(f.Batches[i].Partition)] = true
	}
	for i, lane := range p.lanes {
		if !to[i] {
			continue
		}
		d.open.Add(1)
		select {
		case lane.fetches <- d:
		case <-ctx.Done():
			d.done()
			return ctx.Err()
		}
	}
	return nil
}
