package stream

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// routeEvery is how often the watchdog looks, and lost partitions are noticed that nobody reported.
	routeEvery = time.Second
	// overdueAfter is how long an answer may be late until it is looked whether another broker leads by
	// now. A broker that is slow is not given up for it; one that hangs is, once the cluster has replaced it.
	overdueAfter = time.Second
	// retryFirst and retryMost bound the wait before the routing is asked for again after failures: a
	// leader election takes tens of milliseconds, a broker's start seconds.
	retryFirst = 10 * time.Millisecond
	retryMost  = 250 * time.Millisecond
)

// fetcher reads partitions of one topic: one long poll per broker for all that it leads, one answer of
// each broker read ahead. It belongs to one Session or Reader and ends with it.
//
// Every broker has a poller, a goroutine that asks, decodes and hands over; the route goroutine sends
// partitions to their leaders' pollers and watches that they move. A partition that a poller cannot read
// becomes homeless and is routed anew.
type fetcher struct {
	conf  fetchConfig
	links *links
	log   *slog.Logger

	out   chan *Fetch    // unbuffered: what a poller holds while it waits here is the answer read ahead
	again chan struct{}  // something is homeless
	free  sync.Pool      // of *Fetch
	kept  error          // a fault that try met and next will report; of the one goroutine that polls
	group sync.WaitGroup // pollers

	mu      sync.Mutex
	cursors map[int32]*cursor
	pollers map[int32]*poller // by broker
	order   []*cursor         // scratch of plan
	serial  uint64            // counts answers with data
	turns   uint64            // counts where cursors were put
}

// newFetcher makes a fetcher without partitions; run makes it read.
func newFetcher(conf fetchConfig, links *links, log *slog.Logger) *fetcher {
	return &fetcher{
		conf: conf, links: links, log: log,
		out: make(chan *Fetch), again: make(chan struct{}, 1),
		cursors: map[int32]*cursor{}, pollers: map[int32]*poller{},
	}
}

// run reads until ctx ends, and returns when no goroutine of it is left.
func (f *fetcher) run(ctx context.Context) {
	defer f.group.Wait()
	tick := time.NewTicker(routeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			f.guard(now)
		case <-f.again:
		}
		if refused, any := f.astray(time.Now()); any {
			f.route(ctx, refused)
		}
	}
}

// wake makes run look for homeless partitions.
func (f *fetcher) wake() {
	select {
	case f.again <- struct{}{}:
	default:
	}
}

// route asks who leads the homeless partitions and sends them there. What stays homeless is tried again
// after a pause that grows with the row of refusals.
func (f *fetcher) route(ctx context.Context, refused int) {
	if refused > 1 && !pause(ctx, min(retryFirst<<min(refused, 10), retryMost)) {
		return
	}
	// The first time what is known may do: it is fresh when reading has just begun.
	leaders, err := f.links.leaders(ctx, refused > 0)
	if err != nil && ctx.Err() == nil {
		f.log.Warn("kafka: no metadata", "topic", f.conf.Topic, "attempt", refused, "err", err)
	}
	if !f.settle(ctx, leaders) {
		f.wake()
	}
}

// settle gives homeless partitions, and overdue ones that have a new leader, to the pollers of their
// leaders. It reports whether all have one.
func (f *fetcher) settle(ctx context.Context, leaders map[int32]int32) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	settled := true
	for _, c := range f.cursors {
		leader, known := leaders[c.partition]
		known = known && leader != homeless
		if c.overdue && known && leader != c.broker {
			if p := f.pollers[c.broker]; p != nil {
				p.interrupt(errInterrupted)
			}
			c.broker = homeless
		}
		c.overdue = false
		if c.broker != homeless || c.standing {
			continue
		}
		if !known {
			settled = false
			c.refused++
			continue
		}
		c.broker = leader
		if p := f.pollers[leader]; p != nil {
			p.interrupt(errInterrupted) // it is waiting for an answer without this partition
			continue
		}
		p := &poller{broker: leader, interrupt: func(error) {}}
		f.pollers[leader] = p
		f.group.Go(func() { f.poll(ctx, p) })
	}
	return settled
}

// astray tells whether partitions are homeless or overdue, and how often the worst was refused.
func (f *fetcher) astray(now time.Time) (refused int, any bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.cursors {
		if c.standing {
			continue
		}
		p := f.pollers[c.broker]
		waiting := p != nil && !p.blocked.Load()
		if c.overdue = waiting && now.Sub(c.answered) > f.conf.MaxWait+overdueAfter; c.overdue {
			refused, any = max(refused, 1), true
		}
		if c.broker == homeless {
			refused, any = max(refused, c.refused), true
		}
	}
	return refused, any
}

// next waits for an answer, or for what is wrong with a partition, until either context ends.
func (f *fetcher) next(ctx, life context.Context) (*Fetch, error) {
	if err := f.kept; err != nil {
		f.kept = nil
		return nil, err
	}
	for {
		select {
		case <-life.Done():
			return nil, context.Cause(life)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case x := <-f.out:
			switch {
			case !f.accept(x):
				x.Release()
			case x.fault != nil:
				return nil, x.fault
			default:
				return x, nil
			}
		}
	}
}

// try takes an answer that is there already.
func (f *fetcher) try() (*Fetch, bool) {
	for f.kept == nil {
		select {
		case x := <-f.out:
			switch {
			case !f.accept(x):
				x.Release()
			case x.fault != nil:
				f.kept = x.fault
			default:
				return x, true
			}
		default:
			return nil, false
		}
	}
	return nil, false
}

// pause waits and reports whether ctx is still going on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
