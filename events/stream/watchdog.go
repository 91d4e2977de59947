package stream

import (
	"slices"
	"time"
)

// guard is the watchdog: it looks for partitions that are behind what their broker said and do not move,
// or whose broker has not answered at all, and gives up all connections when there are any. It does not
// mistake back pressure for a stall: while a poller waits for Poll its partitions cannot move.
func (f *fetcher) guard(now time.Time) {
	stall := f.stalled(now)
	if len(stall.Partitions) == 0 {
		return
	}
	f.log.Error("kafka: reading stalled, connections are rebuilt", "topic", f.conf.Topic,
		"partitions", stall.Partitions, "behind", stall.Behind, "since", stall.Since)
	if err := f.links.rebuild(); err != nil {
		f.log.Error("kafka: connections cannot be rebuilt", "topic", f.conf.Topic, "err", err)
	}
	if f.conf.Watch.Stall != nil {
		f.conf.Watch.Stall(stall)
	}
	f.restart(now)
}

// stalled lists the partitions that stall.
func (f *fetcher) stalled(now time.Time) Stall {
	f.mu.Lock()
	defer f.mu.Unlock()
	stall := Stall{Since: now}
	for _, c := range f.cursors {
		if c.standing {
			continue
		}
		if p := f.pollers[c.broker]; p != nil && p.blocked.Load() {
			c.answered, c.moved = now, now
			continue
		}
		since := c.answered
		if c.offset < c.stable && c.moved.Before(since) {
			since = c.moved
		}
		if now.Sub(since) < f.conf.Stall {
			continue
		}
		stall.Partitions = append(stall.Partitions, c.partition)
		stall.Behind += max(0, c.stable-c.offset)
		if since.Before(stall.Since) {
			stall.Since = since
		}
	}
	slices.Sort(stall.Partitions)
	return stall
}

// restart makes everything be asked for anew, over new connections.
func (f *fetcher) restart(now time.Time) {
	f.mu.Lock()
	for _, c := range f.cursors {
		c.answered, c.moved = now, now
	}
	for _, p := range f.pollers {
		p.interrupt(errInterrupted)
	}
	f.mu.Unlock()
	f.wake()
}
