package stream

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// homeless is the broker of a partition whose leader is not known.
const homeless int32 = -1

// cursor is where reading of one partition stands. The fetcher's mutex guards it.
type cursor struct {
	partition int32
	offset    int64  // to ask for next
	turn      uint64 // another with every Seek and Start: answers to earlier questions are dropped
	broker    int32  // that leads it, or homeless
	standing  bool   // still, after an error that only Seek resolves
	overdue   bool   // its broker should have answered by now
	maxBytes  int32  // to ask for; grows when a batch does not fit
	broken    int    // how often the batch at offset could not be read
	refused   int    // how often in a row no broker served it
	served    uint64 // when it last had data, to let others go first

	handed   int64     // offset behind what Poll has given out
	stable   int64     // last stable offset, as last heard
	answered time.Time // when the broker last answered for it
	moved    time.Time // when offset last changed, or was at the end
}

// plan lists what to ask the poller's broker for, those first that have waited longest for data: a broker
// fills its answer in this order, and only the first batch of all may exceed the limits. From here until
// the answer is there, interrupt ends the wait for it.
func (f *fetcher) plan(p *poller, interrupt context.CancelCauseFunc) []asked {
	f.mu.Lock()
	defer f.mu.Unlock()
	p.interrupt = interrupt
	p.asked = p.asked[:0]
	f.order = f.order[:0]
	for _, c := range f.cursors {
		if c.broker == p.broker && !c.standing {
			f.order = append(f.order, c)
		}
	}
	slices.SortFunc(f.order, func(a, b *cursor) int {
		return cmp.Or(cmp.Compare(a.served, b.served), cmp.Compare(a.partition, b.partition))
	})
	for _, c := range f.order {
		q := asked{partition: c.partition, maxBytes: c.maxBytes, offset: c.offset, turn: c.turn}
		p.asked = append(p.asked, q)
	}
	if len(p.asked) == 0 {
		delete(f.pollers, p.broker) // this one ends; a partition that comes back starts another
	}
	return p.asked
}

// advance takes over how far an answer came. It reports false when the cursor has been moved since.
func (f *fetcher) advance(q asked, next, stable int64, missing int, data bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.cursors[q.partition]
	if c == nil || c.turn != q.turn {
		return false
	}
	now := time.Now()
	c.answered, c.stable, c.refused = now, stable, 0
	if next > c.offset {
		c.offset, c.broken, c.maxBytes = next, 0, f.conf.PartitionMaxBytes
		c.moved = now
	} else if missing > int(c.maxBytes) { // the batch does not fit: ask for all of it, and first
		c.maxBytes = int32(min(missing, f.conf.MaxFrameBytes))
		c.served = 0
		return true
	}
	if c.offset >= stable {
		c.moved = now
	}
	if data {
		f.serial++
		c.served = f.serial
	}
	return true
}

// update changes the cursor that a question was about unless it has been moved since.
func (f *fetcher) update(q asked, change func(*cursor)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.cursors[q.partition]; c != nil && c.turn == q.turn {
		change(c)
	}
}

// place puts the cursor of a partition, new or not, at an offset and makes it read on from there.
func (f *fetcher) place(partition int32, offset int64) {
	f.mu.Lock()
	c := f.cursors[partition]
	if c == nil {
		c = &cursor{partition: partition, broker: homeless}
		f.cursors[partition] = c
	}
	now := time.Now()
	f.turns++ // of all cursors: one that was dropped and comes back must not meet its own old answers
	c.turn = f.turns
	c.offset, c.handed, c.standing, c.broken, c.refused, c.served = offset, offset, false, 0, 0, 0
	c.maxBytes, c.answered, c.moved = f.conf.PartitionMaxBytes, now, now
	if p := f.pollers[c.broker]; p != nil {
		p.interrupt(errInterrupted)
	} else {
		c.broker = homeless
	}
	f.mu.Unlock()
	f.wake()
}

// drop stops reading a partition.
func (f *fetcher) drop(partition int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.cursors, partition)
}

// accept strikes out of an answer what was asked for before a Seek, and notes what is given out. It
// reports false when nothing is left.
func (f *fetcher) accept(x *Fetch) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if x.fault != nil {
		c := f.cursors[x.about.partition]
		return c != nil && c.turn == x.about.turn
	}
	x.Batches = slices.DeleteFunc(x.Batches, func(b Batch) bool {
		c := f.cursors[b.Partition]
		if c == nil || c.turn != b.turn {
			return true
		}
		c.handed = b.Next
		return false
	})
	return len(x.Batches) > 0
}

// handed tells up to where Poll has given out a partition.
func (f *fetcher) handed(partition int32) (int64, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.cursors[partition]
	if c == nil {
		return 0, false
	}
	return c.handed, true
}
