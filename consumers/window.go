package consumers

import (
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
)

// window gathers what was folded and not yet written: of every subject only the
// newest state, and one move of the position per partition.
type window struct {
	parts  []*part
	states int       // subjects changed
	events int       // records read
	since  time.Time // when the first record came
}

// part is a window's share of one partition.
type part struct {
	*partition
	life     int // of the partition when the part was begun
	from, to int64
	changed  []*entry
	parked   []parked
	holds    []cache.Hold
	proved   time.Time // neither the log nor the policy held anything beyond at this moment
	turned   bool      // the first one that goes by its edition of the policy
	mixed    bool      // some of it was folded by an earlier one
	tally    tally
}

// tally counts what a range of the log did, for its receipt and the metrics.
type tally struct {
	Verdicts [events.Park + 1]int
	Oldest   events.Millis // append time of the first event, for the age at which it was stored
	Newest   events.Millis
}

func (t *tally) add(o tally) {
	for v, n := range o.Verdicts {
		t.Verdicts[v] += n
	}
	if t.Oldest == 0 || o.Oldest != 0 && o.Oldest < t.Oldest {
		t.Oldest = o.Oldest
	}
	t.Newest = max(t.Newest, o.Newest)
}

// read notes when the first and the last of the records were appended.
func (t *tally) read(records []stream.Record) {
	t.add(tally{Oldest: events.Millis(records[0].Time), Newest: events.Millis(records[len(records)-1].Time)})
}

// of returns the window's share of p.
func (w *window) of(p *partition) *part {
	if p.part == nil {
		p.part = &part{partition: p, life: p.life, from: p.next, to: p.next}
		w.parts = append(w.parts, p.part)
	}
	return p.part
}

func (w *window) empty() bool { return len(w.parts) == 0 }

// full says whether the window must be written before more is folded.
func (w *window) full() bool { return w.states >= wideStates || w.events >= wideEvents }

// ripe says whether a window that was kept open to catch up should go now: also
// when it has as many states to write as events are left to fold, which takes about
// as long. So windows shrink towards the end, and little is left to write when nothing
// is left to fold. The first ones of a lane are narrow, for until then the cache has
// nothing to do.
func (w *window) ripe(behind int64, before int) bool {
	return behind < farBehind || w.full() || int64(w.states) >= behind || time.Since(w.since) >= wideAge ||
		w.once() && w.states>>min(before, wideAfter) >= firstStates
}

// once says that hardly any subject repeats in the window: folding more of the log
// into it would spare no write.
func (w *window) once() bool { return 8*w.states >= 7*w.events }

// forget drops the share of a partition that is to be read again.
func (w *window) forget(p *partition) {
	for i, part := range w.parts {
		if part == p.part {
			w.states -= len(part.changed)
			w.parts = append(w.parts[:i], w.parts[i+1:]...)
			break
		}
	}
	p.part = nil
}

// close seals the window: what follows goes into the next one. The batches hold
// copies, so that the fold can go on while they are written.
func (w *window) close(due trigger, by *policy.Edition, far bool) []batch {
	batches := make([]batch, 0, len(w.parts))
	for _, part := range w.parts {
		batches = append(batches, part.close(due, by, far))
		part.partition.part = nil
	}
	return batches
}

// batch is a sealed part: what the cache is to write, and what goes with it.
type batch struct {
	cache.Batch
	partition *partition
	life      int
	parked    []parked
	tally     tally
	acts      bool // something was put in the outbox
	far       bool // the log goes on far beyond

	edition *policy.Edition // of the policy, that all that is not acted on was judged by
	turned  bool            // it is the first one that goes by it
	vacant  bool            // the partition held nobody before
}

// trigger says which changes an action follows.
type trigger struct {
	serves events.PurposeSet // of one of these that stopped or came back
	every  bool
}

func (t trigger) by(e *entry) bool {
	return t.every || (e.stopped^e.baseStopped)&t.serves != 0
}

func (p *part) close(due trigger, by *policy.Edition, far bool) batch {
	b := batch{
		far: far, partition: p.partition, life: p.life, parked: p.parked, tally: p.tally,
		edition: by, turned: p.turned, vacant: p.vacant,
	}
	p.vacant = false
	b.Batch = cache.Batch{
		Partition: p.id, Epoch: p.epoch.Load(), From: p.from, To: p.to, Proved: p.proved,
		Changes: make([]cache.Change, 0, len(p.changed)), Holds: p.holds, Policy: by.Revision, Stage: p.stage,
	}
	// Until everybody was swept, what was acted on may be what an earlier edition said
	// of the state before, and the sweep sees only the state after: it would find
	// nothing new in a withdrawal of what had stopped already by the later one.
	all := p.mixed || !p.evenBy(by)
	for _, e := range p.changed {
		act := due.by(e) || all || p.mending && e.base.IsZero()
		b.acts = b.acts || act
		version, _ := e.state.Version()
		b.Changes = append(b.Changes, cache.Change{
			Subject: e.subject, State: e.state, Prev: e.base, Act: act, Older: version.Offset - e.since,
		})
		e.open, e.base = false, events.State{}
	}
	return b
}

// How wide a window may grow. While the consumer is close to the end of the log
// none of these is reached: a window goes as soon as the cache can take it.
const (
	// farBehind is the lag, in records over a lane's partitions, from which windows
	// are kept open to fold more of the log into one write: some 20 ms of work,
	// less than anyone who is that far behind could notice.
	farBehind = 10_000
	// wideStates bounds a window's memory: 131,072 states are about 60 MB, with the
	// copies that are being written and their scripts, in each lane. Half as many
	// make no difference to a million events; of three million of 300,000 subjects
	// they would have 0.77 states written for each event instead of 0.49.
	wideStates = 1 << 17
	// firstStates is how wide the first window of a lane is where hardly any subject
	// repeats; each is twice as wide as the one before, wideAfter times. Redis then
	// begins after some 10 ms of folding, and has about as much to write as there is
	// folded meanwhile.
	firstStates = 1 << 13
	wideAfter   = 4
	// wideEvents bounds how much of the log is read again after a crash.
	wideEvents = 1 << 19
	// wideAge bounds how long a window stays open: with it the cache of a
	// consumer that catches up moves at least about every two seconds. In one second a
	// lane does not get through half a million events, and would write some subjects twice.
	wideAge = 2 * time.Second
)
