// Package fold folds one partition of the log as the services do, and keeps what
// it comes to: the state of every subject, and what holds whom. Tools compare that
// with the caches.
//
// Its memory is bounded: whoever meets [ErrCrowd] folds a share of the subjects at
// a time, and reads the log once for each share.
package fold

import (
	"errors"
	"fmt"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
)

// Config says what is folded.
type Config struct {
	Rules  *events.Rules
	Layout cache.Layout   // of the services: where subjects are, and which share each belongs to
	Only   events.Subject // fold nobody else; zero: everybody
	Limit  int            // subjects at a time; at least 1

	Wanted func(key []byte) bool // of the records of others nothing is read but the key; nil: everybody is wanted
}

// Person is what the log says of one subject.
type Person struct {
	Field string // in its bucket, which names the subject too
	State events.State
	Since int64  // offset of the first event that gave a state; whoever is past it has one
	Seen  uint32 // for the caller's use
}

// Subject returns whom it is about.
func (p *Person) Subject() events.Subject {
	s, _ := cache.SubjectOf(p.Field) // written by AppendField
	return s
}

// Version returns the offset of the last event that changed the state, -1 where
// there is none.
func (p *Person) Version() int64 {
	if at, known := p.State.Version(); known {
		return at.Offset
	}
	return -1
}

// Fold is one share of one partition, folded so far.
type Fold struct {
	Partition int32
	Share     Share
	Next      int64        // the next offset to fold
	Stage     events.Stage // of the log at Next
	People    map[string]*Person
	Holds     map[Hold]*Held // of subjects of the partition
	Strays    map[Hold]*Held // of subjects of others, or under the key of others, by events in this one
	Changed   []*Person      // since the caller emptied it, if it watches

	Elsewhere []Hold // of subjects of the partition, by events in others, as snapshots say

	Watch bool // collect who changed

	cfg     Config
	decoder cloudevent.Decoder
	event   events.Event
	field   []byte
	free    []Person
}

// New begins the fold of a share of a partition at an offset.
func New(cfg Config, partition int32, share Share, from int64) *Fold {
	return &Fold{
		Partition: partition, Share: share, Next: from, cfg: cfg, decoder: cloudevent.Decoder{Rules: cfg.Rules},
		People: make(map[string]*Person), Holds: make(map[Hold]*Held), Strays: make(map[Hold]*Held),
	}
}

// ErrCrowd means that the share has more subjects than the limit: fold a smaller one.
var ErrCrowd = errors.New("more subjects than are kept at a time")

// Records folds records in their order.
func (f *Fold) Records(records []stream.Record) error {
	for i := range records {
		r := &records[i]
		f.Next = r.Offset + 1
		switch {
		case f.mine(r.Key), string(r.Key) == cloudevent.BarrierKey:
			f.record(r)
		case !f.cfg.Only.IsZero():
			f.concealed(r)
		}
		if len(f.Holds)+len(f.Strays) > maxHolds {
			return fmt.Errorf("partition %d, offset %d: more than %d parked events", f.Partition, r.Offset, maxHolds)
		}
	}
	if len(f.People) > f.cfg.Limit {
		return ErrCrowd
	}
	return nil
}

// mine says whether a record is of the share, by its key: in a valid event it is
// the subject, and what is none holds whom it names.
func (f *Fold) mine(key []byte) bool {
	if !f.cfg.Only.IsZero() {
		return string(key) == f.cfg.Only.Reveal()
	}
	if f.cfg.Wanted != nil && !f.cfg.Wanted(key) {
		return false
	}
	return f.Share.HasKey(f.cfg.Layout, key)
}

// Has says whether a subject is among those that are folded.
func (f *Fold) Has(s events.Subject) bool { return !s.IsZero() && f.mine([]byte(s.Reveal())) }

// record does what the services do with one (package consumers, reader).
func (f *Fold) record(r *stream.Record) {
	e := &f.event
	*e = events.Event{}
	at := events.Stamp{
		Position: events.Position{Generation: f.cfg.Layout.Generation, Partition: f.Partition, Offset: r.Offset},
		Appended: events.Millis(r.Time),
	}
	if f.decoder.Decode(r, e) != nil {
		if e.Type == 0 || e.Type.Restricts() {
			f.unreadable(string(r.Key), e.Subject.Reveal(), at.Position)
		}
		return
	}
	e.Logged = at
	first := at.Position
	if !e.First.IsZero() {
		first = e.First.Position
	}
	switch {
	case !r.LogAppend:
		f.aside(e.Subject.Reveal(), first, at.Position)
	case e.Type == events.LogBarrier:
		f.Stage, _ = f.Stage.Turn(e.Barrier, at.Position)
	case f.cfg.Layout.PartitionOf(e.Subject) != f.Partition:
		if e.Type.Restricts() {
			f.aside(e.Subject.Reveal(), first, at.Position)
		}
	case f.Stage.Takes(e.Type) != "":
		if e.Type.Restricts() {
			f.hold(e.Subject.Reveal(), first, at.Position)
		}
	default:
		f.apply(e, first)
	}
}

func (f *Fold) apply(e *events.Event, first events.Position) {
	p := f.Person(e.Subject)
	state, out := f.cfg.Rules.Apply(p.State, e)
	if out.Changed {
		if p.State.IsZero() {
			p.Since = e.Logged.Position.Offset
		}
		p.State = state
		if f.Watch {
			f.Changed = append(f.Changed, p)
		}
	}
	switch {
	case out.Verdict == events.Repeated: // a snapshot knows the event, and not what became of its hold
		f.doubt(e.Subject.Reveal(), first)
	case out.Verdict == events.Park && !out.Aside:
		f.hold(e.Subject.Reveal(), first, e.Logged.Position)
	case out.Verdict != events.Park && !e.First.IsZero():
		f.release(e.Subject.Reveal(), first, e.Logged.Position)
	}
}

// slab is how many people are allocated at a time.
const slab = 256

// Person returns what is known of a subject of the share, which may be nothing yet.
// The subject may be a view of a record.
func (f *Fold) Person(s events.Subject) *Person {
	f.field = cache.AppendField(f.field[:0], s)
	if p := f.People[string(f.field)]; p != nil {
		return p
	}
	if len(f.free) == 0 {
		f.free = make([]Person, slab)
	}
	p := &f.free[0]
	f.free = f.free[1:]
	p.Field = string(f.field)
	f.People[p.Field] = p
	return p
}

// Digest sums up the states as the caches do.
func (f *Fold) Digest() (d cache.Digest) {
	for _, p := range f.People {
		if !p.State.IsZero() {
			d = d.Swap(p.Subject(), events.State{}, p.State)
		}
	}
	return d
}
