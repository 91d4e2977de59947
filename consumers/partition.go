package consumers

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
)

// partition is the fold of one partition that this consumer owns.
type partition struct {
	id     int32
	epoch  atomic.Int64 // of our claim: the cache refuses anyone else's. The actor reads it too
	taking atomic.Bool  // it is being claimed: the cache may know an epoch that is not here yet
	stored atomic.Int64 // the cache has everything before
	life   int          // rises when the partition is read again from the cache's position
	next   int64        // offset to fold next
	stage  events.Stage // of the log at next
	end    int64        // end of the log as last heard: high watermark, or last stable offset
	memo   *memo
	part   *part // share of the open window

	paused  bool // what cannot be applied waits for the parked topic: it is not read on until then
	vacant  bool // nobody stood in the cache when it was begun, and nobody was written since
	mending bool // states were lost: whoever is found without one is acted on again
	proof   proof
	shown   time.Time // when freshness was last written
	lag     prometheus.Gauge

	even atomic.Pointer[even] // from the actor to the reader

	acting *policy.Edition // that is acted by; the actor's
	under  int64           // epoch that it was announced under; the actor's
	done   int64           // everything before is acted on, as far as is known; the actor's
	sweep  *sweep          // that is not over; the actor's
}

// even says that by an edition of the policy everybody in the partition was acted
// on, or is in the outbox.
type even struct {
	epoch   int64
	edition *policy.Edition
}

// evenBy says whether the partition is even by an edition.
func (p *partition) evenBy(e *policy.Edition) bool {
	now := p.even.Load()
	return now != nil && *now == even{p.epoch.Load(), e}
}

// proof is a fetch that will prove, once everything before end is folded, that
// the cache held all that the log had when the fetch was sent.
type proof struct {
	sent time.Time
	end  int64
}

// begin starts the partition at the position that the cache holds.
func (p *partition) begin(m cache.Mark, memory int, empty bool) {
	p.life++
	p.epoch.Store(m.Epoch)
	p.stage = m.Stage
	p.next, p.end, p.proof, p.shown = m.Next, m.Next, proof{}, time.Time{}
	p.stored.Store(m.Next)
	p.memo = newMemo(memory, empty, &p.stored)
	p.vacant = empty
}

// hear notes what a fetch says of the log's end. It keeps the oldest proof that
// is still open: a newer one may never be reached while the log grows.
func (p *partition) hear(sent time.Time, b *stream.Batch) {
	p.end = b.LastStable
	if p.proof.sent.IsZero() || p.next >= p.proof.end {
		p.proof = proof{sent, p.end}
	}
}

// reclaimed says whether we claimed the partition anew since an epoch, or are about
// to: a cache that then refuses the epoch tells of nobody else.
func (p *partition) reclaimed(epoch int64) bool { return p.taking.Load() || p.epoch.Load() != epoch }

// prove returns the moment up to which the log is known to be folded, if that
// is news.
func (p *partition) prove() (time.Time, bool) {
	if p.proof.sent.IsZero() || p.next < p.proof.end {
		return time.Time{}, false
	}
	sent := p.proof.sent
	p.proof = proof{}
	return sent, true
}

// behind returns how many records of the log are not folded.
func (p *partition) behind() int64 { return max(0, p.end-p.next) }

// load asks the cache for the states that the memo does not know.
func (p *partition) load(ctx context.Context, store Store, missing []*entry, rules *events.Rules) error {
	subjects := make([]events.Subject, len(missing))
	for i, e := range missing {
		subjects[i] = e.subject
	}
	states, err := store.Load(ctx, p.id, subjects)
	if err != nil {
		return err
	}
	for i, e := range missing {
		e.state, e.known = states[i], true
		e.judge(rules)
	}
	return nil
}

// fold applies one event to its subject's entry, in the open window.
func (p *partition) fold(rules *events.Rules, w *window, e *entry, event *events.Event) events.Outcome {
	part := w.of(p)
	state, out := rules.Apply(e.state, event)
	part.tally.Verdicts[out.Verdict]++
	if out.Changed {
		if !e.open {
			if e.by != rules {
				e.judge(rules)
			}
			e.open, e.base, e.baseStopped, e.since = true, e.state, e.stopped, event.Logged.Position.Offset
			part.changed = append(part.changed, e)
			w.states++
		}
		e.state, e.stopped, e.by = state, out.Standing.Stopped, rules
	}
	if out.Verdict != events.Park && !event.First.IsZero() {
		part.holds = append(part.holds, cache.Hold{Subject: e.subject, At: event.First.Position, Release: true})
	}
	return out
}
