package stream

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The states of an entry. Whoever moves it out of entryWaiting owns it; the two
// last states are final.
const (
	entryWaiting   int32 = iota // in a queue: may still be withdrawn
	entryTaken                  // in a batch that may have been sent
	entrySettled                // the outcome stands in the ticket
	entryWithdrawn              // its caller gave up before it was taken
)

// entry is one message on its way.
type entry struct {
	body     []byte // key, value and headers as they stand in a record
	millis   int64  // the record's own time
	ticket   *ticket
	index    int           // in the ticket
	size     int           // upper bound of its bytes in a batch; the room it takes
	deadline time.Duration // since the producer's start
	state    atomic.Int32
}

// withdraw takes the entry back from its queue, if it is still there.
func (e *entry) withdraw() bool { return e.state.CompareAndSwap(entryWaiting, entryWithdrawn) }

// take puts the entry into a batch, unless its caller has withdrawn it.
func (e *entry) take() bool { return e.state.CompareAndSwap(entryWaiting, entryTaken) }

// untake puts an entry back of which not a byte has left.
func (e *entry) untake() { e.state.Store(entryWaiting) }

// succeed reports the position. The ticket counts it off by finish.
func (e *entry) succeed(ack Ack) {
	if e.ticket.call != nil {
		e.state.Store(entrySettled)
		e.ticket.call(ack, nil)
		return
	}
	e.ticket.acks[e.index] = ack
	e.state.Store(entrySettled) // makes the ack visible to a caller that gives up right now
}

// fail reports why there is no position. The ticket counts it off by finish.
func (e *entry) fail(topic string, partition int32, err error) {
	t, failure := e.ticket, &PublishError{Topic: topic, Partition: partition, Index: e.index, Err: err}
	if t.call != nil {
		e.state.Store(entrySettled)
		t.call(Ack{}, failure)
		return
	}
	t.mu.Lock()
	t.failed = append(t.failed, failure)
	t.mu.Unlock()
	e.state.Store(entrySettled)
}

// ticket is what the caller of one publish waits with.
type ticket struct {
	entries []entry
	call    func(Ack, error) // of PublishAsync, instead of all below

	acks []Ack
	left atomic.Int64
	done chan struct{}
	free func() // called when all have settled, or never

	mu     sync.Mutex
	failed []*PublishError
}

func newTicket(n int) *ticket {
	t := &ticket{entries: make([]entry, n), acks: make([]Ack, n), done: make(chan struct{})}
	t.left.Store(int64(n))
	return t
}

// finish counts n outcomes off and wakes the caller at the last.
func (t *ticket) finish(n int) {
	if t.call == nil && t.left.Add(-int64(n)) == 0 {
		if t.free != nil {
			t.free()
		}
		close(t.done)
	}
}

// wait returns when every entry has settled, or when ctx ends: entries that are
// still queued are then withdrawn, and freed hears of each.
func (t *ticket) wait(ctx context.Context, freed func(*entry)) {
	select {
	case <-t.done:
		return
	case <-ctx.Done():
	}
	for i := range t.entries {
		if e := &t.entries[i]; e.withdraw() {
			freed(e)
		}
	}
}

// results says what is known of all entries now: the positions, and the failures
// by index. cause is why the caller does not wait any longer, if it does not.
func (t *ticket) results(messages []Message, cause error) ([]Ack, []*PublishError) {
	select {
	case <-t.done:
		slices.SortFunc(t.failed, func(a, b *PublishError) int { return cmp.Compare(a.Index, b.Index) })
		return t.acks, t.failed
	default:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	failed := make(map[int]*PublishError, len(t.failed))
	for _, f := range t.failed {
		failed[f.Index] = f
	}
	acks, out := make([]Ack, len(messages)), []*PublishError(nil)
	for i := range messages {
		state := t.entries[i].state.Load()
		switch m := &messages[i]; {
		case failed[i] != nil:
			out = append(out, failed[i])
		case state == entrySettled:
			acks[i] = t.acks[i]
		case state == entryWithdrawn:
			out = append(out, &PublishError{m.Topic, m.Partition, i, join(ErrNotSent, cause)})
		default:
			out = append(out, &PublishError{m.Topic, m.Partition, i, join(ErrUnknownOutcome, cause)})
		}
	}
	return acks, out
}
