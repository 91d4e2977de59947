package stream

import (
	"context"
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
	msg      Message
	ticket   *ticket
	index    int // in the ticket
	size     int // upper bound of its bytes in a batch
	deadline time.Time
	state    atomic.Int32
}

// withdraw takes the entry back from its queue, if it is still there.
func (e *entry) withdraw() bool { return e.state.CompareAndSwap(entryWaiting, entryWithdrawn) }

// take puts the entry into a batch, unless its caller has withdrawn it.
func (e *entry) take() bool { return e.state.CompareAndSwap(entryWaiting, entryTaken) }

// untake puts an entry back of which not a byte has left.
func (e *entry) untake() { e.state.Store(entryWaiting) }

// settle reports the outcome. Exactly one call per entry that was taken.
func (e *entry) settle(ack Ack, err error) {
	t := e.ticket
	if err != nil {
		ack, err = Ack{}, &PublishError{Topic: e.msg.Topic, Partition: ack.Partition, Index: e.index, Err: err}
	}
	if t.call != nil {
		e.state.Store(entrySettled)
		t.call(ack, err)
		return
	}
	t.outcomes[e.index] = outcome{ack, err}
	e.state.Store(entrySettled) // publishes the outcome to a caller that gives up right now
	t.finish(1)
}

// ticket is what the caller of one publish waits with.
type ticket struct {
	entries  []entry
	outcomes []outcome
	left     atomic.Int64
	done     chan struct{}
	call     func(Ack, error) // instead of all of the above but entries
}

// outcome is what became of one message.
type outcome struct {
	ack Ack
	err error
}

func newTicket(n int) *ticket {
	t := &ticket{entries: make([]entry, n), outcomes: make([]outcome, n), done: make(chan struct{})}
	t.left.Store(int64(n))
	return t
}

// finish counts n outcomes off and wakes the caller at the last.
func (t *ticket) finish(n int64) {
	if t.left.Add(-n) == 0 {
		close(t.done)
	}
}

// fail gives entry i an outcome without its having been queued.
func (t *ticket) fail(i int, partition int32, err error) {
	e := &t.entries[i]
	e.state.Store(entryTaken)
	e.settle(Ack{Partition: partition}, err)
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

// result says what is known of entry i now. cause is why the caller does not
// wait any longer, for an entry that has not settled.
func (t *ticket) result(i int, cause error) (Ack, error) {
	e := &t.entries[i]
	lost := func(kind error) (Ack, error) {
		return Ack{}, &PublishError{Topic: e.msg.Topic, Partition: e.msg.Partition, Index: i, Err: join(kind, cause)}
	}
	switch e.state.Load() {
	case entrySettled:
		return t.outcomes[i].ack, t.outcomes[i].err
	case entryWithdrawn:
		return lost(ErrNotSent)
	default:
		return lost(ErrUnknownOutcome)
	}
}
