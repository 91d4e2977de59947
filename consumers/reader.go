package consumers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
)

const (
	// chunk is how many records are decoded before their states are asked for,
	// all in one round trip.
	chunk = 1024
	// AlarmTorso counts the partitions that are built from a log that has lost its
	// beginning: nobody is allowed by them until they are rebuilt from snapshots.
	AlarmTorso = "log-without-beginning"
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

// lost names a partition whose cache is not where the fold thought.
type lost struct {
	partition *partition
	life      int
	cause     error
}

// claimsAtOnce is how many partitions a lane claims at the same time: each claim is
// a few round trips, during which the partition stands still for everybody.
const claimsAtOnce = 8

// claim takes the lane's partitions over. Each is to be read from where the cache
// stands: the group's offset in Kafka is only a hint.
func (r *reader) claim(ctx context.Context, ids ...int32) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(claimsAtOnce)
	for _, id := range ids {
		p := &partition{id: id, lag: r.metrics.lagOf(id)}
		r.parts[id] = p
		group.Go(func() error { return r.take(ctx, p, false) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, id := range ids {
		r.announce(r.parts[id])
	}
	return nil
}

// announce has the partition's next part say by which edition of the policy it goes.
func (r *reader) announce(p *partition) { r.window.of(p).turned = true }

// take claims one partition in the cache. Where the cache knows nothing, or not
// all, it is built from the beginning of the log, and is no more than a torso where
// that is lost: nobody is allowed by it. It touches nothing of the reader that other
// partitions share.
func (r *reader) take(ctx context.Context, p *partition, anew bool) error {
	p.taking.Store(true)
	defer p.taking.Store(false)
	err := r.insist(ctx, "claim", func() error {
		mark, err := r.cfg.Store.Claim(ctx, p.id)
		if err != nil {
			return fmt.Errorf("claim partition %d: %w", p.id, err)
		}
		if err := r.publish(ctx, r.edition); err != nil {
			return err
		}
		if mark.Known && !anew {
			p.begin(mark, r.memory, false)
			r.receipts.begin(p.id, mark)
			return nil
		}
		first, err := r.session.LogStart(ctx, p.id)
		if err != nil {
			return fmt.Errorf("find the start of partition %d: %w", p.id, err)
		}
		begin := r.cfg.Store.Begin
		if first > 0 { // who stopped in the lost part may seem to permit by what is left
			begin = r.cfg.Store.BeginTorso
		}
		mark, err = begin(ctx, p.id, mark.Epoch, first)
		switch {
		case errors.Is(err, cache.ErrMoved): // no cause to leave: claiming it once more helps
			return fmt.Errorf("begin partition %d: flushed since it was claimed: %s", p.id, err.Error())
		case err != nil:
			return fmt.Errorf("begin partition %d: %w", p.id, err)
		}
		if first > 0 {
			r.metrics.alarmed(AlarmTorso)
			r.log.Error("the log has lost its beginning, and the cache its states: guards deny until the partition is rebuilt from snapshots",
				"partition", p.id, "from", first)
		}
		r.log.Info("building from the log", "partition", p.id, "from", first)
		p.begin(mark, r.memory, mark.Digest == 0)
		p.mending = anew
		r.receipts.begin(p.id, mark)
		return nil
	})
	if err != nil {
		return err
	}
	if p.vacant {
		p.even.Store(&even{p.epoch.Load(), r.edition})
	}
	return nil
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

// decode reads the event of a record and returns its subject's tag. What cannot be
// decoded, or stands in a partition that is not its subject's, is put aside: 0.
func (r *reader) decode(ctx context.Context, p *partition, record *stream.Record, event *events.Event) (tag uint32, _ error) {
	at := events.Stamp{
		Position: events.Position{Generation: r.cfg.Generation, Partition: p.id, Offset: record.Offset},
		Appended: events.Millis(record.Time),
	}
	err := r.understand(record, event)
	if err != nil && reasonOf(err) == ReasonUnknownPurpose {
		if err := r.catchUp(ctx); err != nil {
			return 0, err
		}
		err = r.understand(record, event)
	}
	if err != nil {
		subject, _ := events.ParseSubject(string(record.Key)) // the zero Subject holds nobody
		event.First = events.Stamp{}
		bad := r.park(record, at, subject, reasonOf(err))
		if event.Subject != subject { // the person that it is about, under a key of something else
			bad.named = cloneSubject(event.Subject)
		}
		bad.hold = event.Type == 0 || event.Type.Restricts() // what permits is kept aside and changes nothing
		r.aside(p, bad, event)
		return 0, nil
	}
	event.Logged = at
	if !record.LogAppend {
		r.aside(p, r.park(record, at, cloneSubject(event.Subject), ReasonNoAppendTime), event)
		return 0, nil
	}
	if event.Type == events.LogBarrier {
		r.turnStage(p, record, event)
		return 0, nil
	}
	if events.PartitionOf(event.Subject.Reveal(), r.cfg.Partitions) != p.id {
		bad := r.park(record, at, cloneSubject(event.Subject), ReasonMisplaced)
		bad.hold = event.Type.Restricts() // what permits is kept aside and changes nothing
		r.aside(p, bad, event)
		return 0, nil
	}
	if reason := p.stage.Takes(event.Type); reason != "" {
		r.refuseStage(p, record, event, reason)
		return 0, nil
	}
	return p.memo.tag(event.Subject), nil
}

func (r *reader) understand(record *stream.Record, event *events.Event) error {
	*event = events.Event{}
	return r.decoder.Decode(record, event)
}

// aside puts a record among those to park with this window, and holds whom it
// concerns, each in its own partition: with the window, or beside it when that is
// another than the record's.
func (r *reader) aside(p *partition, bad parked, event *events.Event) {
	part := r.window.of(p)
	if !event.First.IsZero() {
		bad.first = event.First.Position // held by this already
	}
	for _, s := range [...]events.Subject{bad.subject, bad.named} {
		switch {
		case !bad.hold || s.IsZero():
		case events.PartitionOf(s.Reveal(), r.cfg.Partitions) == p.id:
			part.holds = append(part.holds, cache.Hold{Subject: s, At: bad.first})
		default:
			bad.elsewhere = append(bad.elsewhere, s)
		}
	}
	part.parked = append(part.parked, bad)
}

// reread starts a partition again from where the cache stands.
func (r *reader) reread(ctx context.Context, l lost) error {
	p := l.partition
	if p.life != l.life {
		return nil // already done
	}
	r.log.Warn("reading again from the cache's position", "partition", p.id, "folded", p.next, "cause", l.cause)
	r.metrics.reread()
	r.window.forget(p)
	if err := r.take(ctx, p, errors.Is(l.cause, cache.ErrDamaged)); err != nil {
		return err
	}
	r.announce(p)
	return r.session.Seek(p.id, p.next)
}

// resize returns a slice of length n, of the same memory if it is large enough.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, max(n, chunk))
	}
	return s[:n]
}
