package stream

import (
	"context"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

// intake queues the messages of one publish.
type intake struct {
	p      *Producer
	ticket *ticket
	now    time.Time
	arena  []byte // the bodies are written behind each other; may be nil
	paid   bool   // there is room for all of them already
	// ready are the lanes that were idle until a message of ours came: it is for
	// us to bring them to their senders, once their queues are full.
	ready []*lane
}

// add queues one message. A message that cannot be queued settles at once.
func (in *intake) add(ctx context.Context, i int, m *Message) {
	e := &in.ticket.entries[i]
	e.ticket, e.index, e.size = in.ticket, i, m.size()
	if limit := in.p.cfg.MessageBytes; e.size > limit {
		in.refuse(e, m, fmt.Errorf("%w: about %d bytes, more than %d", ErrRefused, e.size, limit))
		return
	}
	if err := in.admit(ctx, int64(e.size)); err != nil {
		e.state.Store(entryTaken)
		e.fail(m.Topic, max(m.Partition, AnyPartition), join(ErrNotSent, err))
		in.ticket.finish(1)
		return
	}
	l, err := in.p.lane(ctx, m)
	if err != nil {
		in.refuse(e, m, err)
		return
	}
	start := len(in.arena)
	in.arena = recordbatch.AppendBody(in.arena, m.Key, m.Value, m.Headers)
	e.body = in.arena[start:len(in.arena):len(in.arena)]
	e.millis = m.millis(in.now)
	e.deadline = in.now.Sub(in.p.start) + in.p.cfg.DeliveryTimeout
	if l.add(e) {
		in.ready = append(in.ready, l)
	}
}

// refuse settles an entry that was given room but cannot be queued.
func (in *intake) refuse(e *entry, m *Message, err error) {
	if e.size <= in.p.cfg.MessageBytes || in.paid {
		in.p.freed(e)
	}
	e.state.Store(entryTaken)
	e.fail(m.Topic, max(m.Partition, AnyPartition), err)
	in.ticket.finish(1)
}

// admit waits for room for one message, unless all have some already.
func (in *intake) admit(ctx context.Context, size int64) error {
	if in.paid {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	p := in.p
	if p.closed.Load() {
		return ErrClosed
	}
	if !p.room.TryAcquire(size) {
		in.dispatch() // room is made by those that leave
		if err := p.room.Acquire(ctx, size); err != nil {
			return fmt.Errorf("no room for %d more bytes: %w", size, err)
		}
	}
	if p.closed.Load() { // Close has let us through
		p.room.Release(size)
		return ErrClosed
	}
	return nil
}

// admitAll takes room for all messages at once, if there is some.
func (in *intake) admitAll(ctx context.Context, messages []Message) {
	if ctx.Err() != nil {
		return
	}
	total := 0
	for i := range messages {
		total += messages[i].size()
	}
	p := in.p
	if int64(total) > p.cfg.QueuedBytes/2 || p.closed.Load() || !p.room.TryAcquire(int64(total)) {
		return
	}
	if p.closed.Load() {
		p.room.Release(int64(total))
		return
	}
	in.paid = true
	in.arena = p.buffers.arena(total)
	arena := in.arena
	in.ticket.free = func() { p.buffers.arenas.Put(&arena) }
}

// dispatch brings the lanes that we woke to their senders.
func (in *intake) dispatch() {
	for _, l := range in.ready {
		in.p.dispatch(l)
	}
	in.ready = in.ready[:0]
}
