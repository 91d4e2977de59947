package consumers

import (
	"context"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
)

const (
	// chunk is how many records are decoded before their states are asked for,
	// all in one round trip.
	chunk = 1024
	// refreshEvery is how often an idle partition's freshness is written. The
	// guard gives it three seconds (DESIGN, P1), so two may be lost.
	refreshEvery = time.Second
)

// reader decodes and folds what the poller delivers for its lane. It owns the fold
// state of the lane's partitions.
type reader struct {
	*Consumer
	*lane
	session  Session
	receipts *receipts
	parts    map[int32]*partition
	memory   int // states that one partition may keep

	edition *policy.Edition // that it folds by
	decoder Decoder         // that knows the edition's purposes
	caught  bool            // the policy was asked for since the chunk came

	events  []events.Event // of one chunk; reused
	entries []*entry
	missing []*entry
	tags    []uint32
	warmed  uint32 // of no meaning: keeps the compiler from dropping what finds it
}

// run takes what is there, folds it, and hands the window over whenever the writer
// is idle. It never lingers; only far behind the end of the log it keeps the
// window open, because there one write can cover more.
func (r *reader) run(ctx context.Context) error {
	tick := time.NewTicker(wideAge / 4) // a window kept open must close though nothing comes
	defer tick.Stop()
	for {
		var in <-chan delivery
		if !r.window.full() {
			in = r.fetches
		}
		behind := r.behind()
		select {
		case <-r.ready(behind):
			r.seal(r.dueBy(r.edition), r.edition, behind)
		case d := <-in:
			err := r.read(ctx, d.Fetch)
			d.done()
			if err != nil {
				return err
			}
		case l := <-r.again:
			if err := r.reread(ctx, l); err != nil {
				return err
			}
		case w := <-r.wishes:
			if err := r.follow(w); err != nil {
				return err
			}
		case <-r.cfg.Policy.Superseded(r.edition):
			if err := r.turn(ctx); err != nil {
				return err
			}
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *reader) behind() (records int64) {
	for _, p := range r.parts {
		if !p.paused {
			records += p.behind()
		}
	}
	return records
}

// read folds the lane's share of a fetch into the open window.
func (r *reader) read(ctx context.Context, f *stream.Fetch) error {
	known := r.cfg.Policy.Proved()
	if err := r.turn(ctx); err != nil { // to what was known then, or newer
		return err
	}
	for i := range f.Batches {
		b := &f.Batches[i]
		p := r.parts[b.Partition]
		if p != nil && p.paused {
			p.hear(f.Sent, b)
			p.lag.Set(float64(p.behind()))
			continue // read again once it goes on
		}
		if p == nil || b.From > p.next || b.Next < p.next {
			continue // of the other lane, or under way when we sought
		}
		p.hear(f.Sent, b)
		for records := behind(b.Records, p.next); len(records) > 0; {
			n := min(chunk, len(records))
			if err := r.fold(ctx, p, records[:n]); err != nil {
				return err
			}
			records = records[n:]
		}
		if b.Next > p.next {
			part := r.window.of(p)
			p.next, part.to = b.Next, b.Next
		}
		p.lag.Set(float64(p.behind()))
		r.freshen(p, known)
	}
	return nil
}

// behind returns the records from an offset on. What was under way when we sought
// may have brought us into the middle of what was asked for then: who skipped all of
// that would wait for ever for the rest.
func behind(records []stream.Record, offset int64) []stream.Record {
	for len(records) > 0 && records[0].Offset < offset {
		records = records[1:]
	}
	return records
}

// freshen puts a proof of freshness into the window: with the records that it
// covers, or by itself when an idle partition has not shown one for a while. It
// proves no more than what is proved of the policy: the cache answers by both.
func (r *reader) freshen(p *partition, known time.Time) {
	now := time.Now()
	if p.part == nil && now.Sub(p.shown) < refreshEvery {
		return
	}
	if sent, ok := p.prove(); ok {
		if known.Before(sent) {
			sent = known
		}
		r.window.of(p).proved, p.shown = sent, now
	}
}
