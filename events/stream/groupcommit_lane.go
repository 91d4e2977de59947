package stream

import (
	"slices"
	"sync"
	"time"

	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

const (
	// maxBatchBytes bounds one batch, uncompressed. Brokers and topics accept
	// 1,048,588 by default (max.message.bytes); the rest is room for what a
	// topic's own setting may take off.
	maxBatchBytes = 1_000_000
	// maxBatchRecords bounds the records of one batch, so that one lost response
	// leaves a bounded number of callers in doubt. A batch of 350-byte events is
	// full at about 2,800 by its bytes.
	maxBatchRecords = 5_000
	// spareEntries is how large an emptied queue may be to be kept for reuse.
	spareEntries = 4_096
)

// laneState says where a lane is.
type laneState uint8

const (
	laneIdle    laneState = iota // nothing to send
	laneReady                    // at its sender, or on the way there
	laneBusy                     // in a request
	laneResting                  // will be tried again after a pause
)

// lane is the group commit of one partition. At most one of its batches is in
// flight; what is published meanwhile queues, and the next request takes
// everything that queued. Nothing lingers: a message that meets an idle lane
// leaves at once. One batch at a time is also what keeps the order, and what
// makes a broker's memory of five batches per producer more than enough.
type lane struct {
	topic     string
	partition int32

	mu      sync.Mutex
	state   laneState
	queue   []*entry // oldest first, from head on
	head    int
	bytes   int   // of the queue; an upper bound
	limit   int   // records per batch after a refusal; 0 means no limit of its own
	tries   int   // attempts since the last success
	cause   error // of the last failed attempt
	resting *time.Timer

	// The fields below belong to whoever holds the lane while it is not idle: the
	// publisher that woke it, its sender, or its timer.

	seq     sequence
	pending *batch // sent, not settled: the only thing that may be sent next
}

// add queues an entry and says whether the lane was idle: then the caller must
// bring it to its sender. It is laneReady from here on.
func (l *lane) add(e *entry) (wasIdle bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == cap(l.queue) && l.head > len(l.queue)/2 {
		l.compact() // a queue that never empties must not grow for ever
	}
	l.queue = append(l.queue, e)
	l.bytes += e.size
	if l.state != laneIdle {
		return false
	}
	l.state = laneReady
	return true
}

// weight is an upper bound of what the lane would put into a request now. Only
// who holds the lane may ask.
func (l *lane) weight() int {
	if l.pending != nil {
		return len(l.pending.wire)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return min(l.bytes, maxBatchBytes)
}

// take moves the next entries out of the queue: all of them, up to the limits.
// Entries whose time is over are returned as late. Withdrawn ones are dropped.
func (l *lane) take(now time.Duration) (taken, late []*entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = laneBusy
	limit := maxBatchRecords
	if l.limit > 0 {
		limit = min(limit, l.limit)
	}
	size := 0
	for l.head < len(l.queue) && len(taken) < limit {
		e := l.queue[l.head]
		if len(taken) > 0 && size+e.size > maxBatchBytes {
			break
		}
		l.pop()
		switch {
		case !e.take():
		case e.deadline < now:
			late = append(late, e)
		default:
			taken = append(taken, e)
			size += e.size
		}
	}
	return taken, late
}

// pop drops the oldest entry from the queue.
func (l *lane) pop() {
	l.bytes -= l.queue[l.head].size
	l.queue[l.head] = nil
	if l.head++; l.head < len(l.queue) {
		return
	}
	l.head = 0
	if l.queue = l.queue[:0]; cap(l.queue) > spareEntries {
		l.queue = nil
	}
}

// compact moves what is queued to the front of its memory.
func (l *lane) compact() {
	n := copy(l.queue, l.queue[l.head:])
	clear(l.queue[n:])
	l.queue, l.head = l.queue[:n], 0
}

// putBack returns entries to the front of the queue, in their order.
func (l *lane) putBack(entries []*entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		e.untake()
		l.bytes += e.size
	}
	l.queue = slices.Concat(entries, l.queue[l.head:])
	l.head = 0
}

// release ends laneBusy after a batch has settled and says whether there is
// more to send: then the lane is laneReady, else idle.
func (l *lane) release() (more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.head == len(l.queue) {
		l.state = laneIdle
		return false
	}
	l.state = laneReady
	return true
}

// takeLate removes and returns the entries whose time is over. They are the
// oldest: all have been given the same time.
func (l *lane) takeLate(now time.Duration) []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var late []*entry
	for l.head < len(l.queue) && l.queue[l.head].deadline < now {
		e := l.queue[l.head]
		l.pop()
		if e.take() {
			late = append(late, e)
		}
	}
	return late
}

// takeFollowers removes and returns the queued entries that have one of the
// keys.
func (l *lane) takeFollowers(keys map[string]struct{}) []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*entry
	kept := l.queue[:l.head]
	for _, e := range l.queue[l.head:] {
		key := recordbatch.BodyKey(e.body)
		if _, ok := keys[string(key)]; !ok || key == nil {
			kept = append(kept, e)
			continue
		}
		l.bytes -= e.size
		if e.take() {
			out = append(out, e)
		}
	}
	clear(l.queue[len(kept):])
	l.queue = kept
	return out
}

// takeAll removes and returns everything that is queued.
func (l *lane) takeAll() []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*entry
	for l.head < len(l.queue) {
		e := l.queue[l.head]
		l.pop()
		if e.take() {
			out = append(out, e)
		}
	}
	return out
}
