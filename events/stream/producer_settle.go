package stream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

const (
	// firstPause and lastPause bound the time between two attempts at a
	// partition: it doubles from one to the other, so a broker that comes back is
	// met within a quarter of a second, and one that stays away is not hammered.
	firstPause = 10 * time.Millisecond
	lastPause  = 250 * time.Millisecond
	// warnAfter is how many attempts in a row fail before somebody is told: a
	// leader that moved takes one to three.
	warnAfter = 4
)

// conclude draws the consequence of one attempt. It says whether the lane has
// more to send right now; if not, the lane is idle or rests.
func (p *Producer) conclude(l *lane, a attempt) (more bool) {
	b := l.pending
	if b.sent.IsZero() {
		b.sent = a.sent
	}
	switch a.verdict {
	case verdictStored:
		p.stored(l, b, a)
		return l.release()
	case verdictUnsent:
		if !b.doubt {
			l.pending = nil
			l.putBack(b.entries)
		}
		p.rest(l, a.err)
		return false
	case verdictUnknown:
		b.doubt = true
		p.routes.refresh()
		p.rest(l, a.err)
		return false
	}
	if b.doubt { // no copy of ours is known to be appended, and none is known not to be
		p.giveUp(l, a.err)
		return l.release()
	}
	l.pending = nil
	switch {
	case a.verdict == verdictFenced:
		p.identities.retire(b.seq.who, a.err)
		l.putBack(b.entries)
		p.rest(l, a.err)
		return false
	case a.verdict == verdictRefused && len(b.entries) > 1:
		p.halve(l, b, a.err)
	default:
		p.failBatch(l, b, ErrRefused, a.err)
	}
	return l.release()
}

// stored acknowledges every message of the lane's batch.
func (p *Producer) stored(l *lane, b *batch, a attempt) {
	l.pending, l.seq = nil, b.seq.after(len(b.entries))
	l.succeeded()
	if a.appended >= 0 {
		p.clock.observe(a.broker, a.appended, b.sent, a.received)
	}
	ack := Ack{Partition: l.partition, Offset: a.offset}
	if a.appended >= 0 {
		ack.Appended = time.UnixMilli(a.appended).UTC()
	}
	room, run := int64(0), 0
	for i, e := range b.entries {
		room += int64(e.size)
		e.succeed(ack)
		ack.Offset++
		if run++; i+1 == len(b.entries) || b.entries[i+1].ticket != e.ticket {
			e.ticket.finish(run) // a caller's messages mostly stand together
			run = 0
		}
	}
	p.room.Release(room)
	p.buffers.reuse(b)
}

// succeeded forgets earlier failures and lets batches grow again after a
// refusal, slowly: what was refused may have been the size.
func (l *lane) succeeded() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tries, l.cause = 0, nil
	if l.limit > 0 {
		if l.limit += 1 + l.limit/8; l.limit >= maxBatchRecords {
			l.limit = 0
		}
	}
}

// halve sends the messages of a refused batch again in smaller ones: callers
// who do not know of each other share a batch, and one's bad message must not
// fail the others'. In the end it stands alone, and is refused alone.
func (p *Producer) halve(l *lane, b *batch, why error) {
	l.putBack(b.entries)
	l.mu.Lock()
	l.limit = len(b.entries) / 2
	l.mu.Unlock()
	p.log.Debug("kafka: batch refused, trying in halves",
		"topic", l.topic, "partition", l.partition, "records", len(b.entries), "cause", why)
}

// giveUp ends a batch of unknown fate: its callers are told so, and the identity
// it was sent under is retired, so that no copy of it can come to stand behind
// what is sent next.
func (p *Producer) giveUp(l *lane, why error) {
	b := l.pending
	l.pending = nil
	p.identities.retire(b.seq.who, why)
	p.failBatch(l, b, ErrUnknownOutcome, why)
}

// failBatch fails the messages of a batch, and those that queued behind one of
// them with the same key: so for every key the acknowledged messages are a
// beginning of what was published, until the caller has heard of the failure and
// decides what to publish next. Other keys go on.
func (p *Producer) failBatch(l *lane, b *batch, kind, why error) {
	keys := make(map[string]struct{}, len(b.entries))
	for _, e := range b.entries {
		if key := recordbatch.BodyKey(e.body); key != nil {
			keys[string(key)] = struct{}{}
		}
	}
	followers := l.takeFollowers(keys)
	p.log.Warn("kafka: messages not acknowledged", "topic", l.topic, "partition", l.partition,
		"outcome", kind, "records", len(b.entries), "held_back", len(followers), "cause", why)
	p.failAll(l, b.entries, join(kind, why))
	p.failAll(l, followers, join(ErrNotSent, errEarlierFailed))
}

// failAll reports one failure of many messages and makes room for others.
func (p *Producer) failAll(l *lane, entries []*entry, err error) {
	for _, e := range entries {
		size := int64(e.size)
		e.fail(l.topic, l.partition, err)
		e.ticket.finish(1)
		p.room.Release(size)
	}
}

// rest lets a lane wait before its next attempt. Messages whose time is over
// are failed, and once nothing is left the lane is idle.
func (p *Producer) rest(l *lane, why error) {
	now := time.Since(p.start)
	pause := l.failed(why)
	if p.ctx.Err() != nil {
		p.abandon(l)
		return
	}
	if l.pending != nil && l.pending.deadline < now+pause {
		p.giveUp(l, why)
	}
	p.failAll(l, l.takeLate(now), join(ErrNotSent, why))
	if errors.Is(why, ErrAuthentication) {
		p.failAll(l, l.takeAll(), join(ErrNotSent, why)) // waiting will not help
	}
	p.arm(l, pause)
}

// failed counts a failed attempt and returns the pause before the next.
func (l *lane) failed(why error) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cause = why
	pause := min(firstPause<<min(l.tries, 8), lastPause)
	l.tries++
	return pause/2 + rand.N(pause/2+1)
}

// arm starts the lane's timer, or leaves the lane idle if it is empty.
func (p *Producer) arm(l *lane, pause time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tries == warnAfter {
		p.log.Warn("kafka: publishing is held up", "topic", l.topic, "partition", l.partition, "cause", l.cause)
	}
	if l.pending == nil && l.head == len(l.queue) {
		l.state = laneIdle
		return
	}
	l.state = laneResting
	p.work.Add(1)
	l.resting = time.AfterFunc(pause, func() {
		defer p.work.Done()
		p.dispatch(l)
	})
}

// dispatch brings a lane to the broker that leads its partition.
func (p *Producer) dispatch(l *lane) {
	l.mu.Lock()
	l.state = laneReady
	l.mu.Unlock()
	leader := p.routes.leader(l.topic, l.partition)
	if leader == noLeader {
		p.routes.refresh()
		p.rest(l, errNoLeader)
		return
	}
	p.sender(leader).push(l)
}

// abandon fails everything that a lane holds, when the producer closes before
// it could be sent.
func (p *Producer) abandon(l *lane) {
	if b := l.pending; b != nil {
		l.pending = nil
		kind := ErrNotSent
		if b.doubt {
			kind = ErrUnknownOutcome
		}
		p.failBatch(l, b, kind, ErrClosed)
	}
	p.failAll(l, l.takeAll(), join(ErrNotSent, ErrClosed))
	l.mu.Lock()
	l.state = laneIdle
	l.mu.Unlock()
}

// join makes an error that is both what became of a message and why.
func join(kind, why error) error { return fmt.Errorf("%w: %w", kind, why) }
