package consumers

import (
	"context"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
)

// fold decodes a chunk of records and folds it, after the states that the memo
// does not know were asked for.
func (r *reader) fold(ctx context.Context, p *partition, records []stream.Record) error {
	r.events = resize(r.events, len(records))
	r.entries = resize(r.entries, len(records))
	r.tags, r.caught = resize(r.tags, len(records)), false
	for i := range records {
		var err error
		if r.tags[i], err = r.decode(ctx, p, &records[i], &r.events[i]); err != nil {
			return err
		}
	}
	rules := r.edition.Rules
	r.find(p)
	if len(r.missing) > 0 {
		err := r.insist(ctx, "load", func() error { return p.load(ctx, r.cfg.Store, r.missing, rules) })
		if err != nil {
			return fmt.Errorf("load states of partition %d: %w", p.id, err)
		}
	}
	w := &r.window
	if w.since.IsZero() {
		w.since = time.Now()
	}
	for i, e := range r.entries {
		if e == nil {
			continue
		}
		event := &r.events[i]
		out := p.fold(rules, w, e, event)
		if out.Verdict == events.Park {
			bad := r.park(&records[i], event.Logged, e.subject, out.Reason)
			bad.hold = bad.hold && !out.Aside
			r.aside(p, bad, event)
		}
		if out.Alarm != "" {
			r.metrics.alarmed(out.Alarm)
			r.log.Warn("event alarms", "alarm", out.Alarm, "position", event.Logged.Position.String())
		}
	}
	p.memo.age()
	part := w.of(p)
	part.tally.read(records)
	w.events += len(records)
	last := records[len(records)-1].Offset + 1
	p.next, part.to = last, last
	return nil
}

// find finds the entries of a chunk, and those whose states are not known. Far
// behind, each step of that waits for memory. So each is made for the whole chunk
// before the next: the processor then waits for many subjects at a time.
func (r *reader) find(p *partition) {
	r.missing = r.missing[:0]
	for _, tag := range r.tags {
		r.warmed ^= p.memo.young.at(tag).tag
	}
	for i, tag := range r.tags {
		if tag == 0 {
			r.entries[i] = nil
			continue
		}
		e := p.memo.find(tag, r.events[i].Subject)
		if !e.known {
			e.known = true // asked for once, though the chunk may name it again
			r.missing = append(r.missing, e)
		}
		r.entries[i] = e
	}
	for _, e := range r.entries {
		if e != nil && !e.state.IsZero() {
			r.warmed ^= uint32(e.state.Encoded()[0])
		}
	}
}

// resize returns a slice of length n, of the same memory if it is large enough.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, max(n, chunk))
	}
	return s[:n]
}
