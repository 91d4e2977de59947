package fold

import (
	"strings"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
)

// maxHolds bounds the parked events of a share, at some 200 bytes each. There are
// never many: each is one that somebody has to look at.
const maxHolds = 250_000

// Hold is one event that holds a subject.
type Hold struct {
	Subject events.Subject
	At      events.Position // where the event first stood
}

// Held says from which offsets of the folded partition on the event holds, and
// holds no longer; -1 is never.
type Held struct {
	From, Released int64
}

// Now says whether it holds, by all that was folded.
func (h Held) Now() bool { return h.From >= 0 && h.Released < 0 }

func (f *Fold) hold(id string, first, at events.Position) { lay(f.Holds, id, first, at, false) }

// aside holds whom a record names that no state can be made of, wherever it stands.
func (f *Fold) aside(id string, first, at events.Position) {
	if events.PartitionOf(id, f.cfg.Layout.Partitions) != f.Partition {
		lay(f.Strays, id, first, at, false)
		return
	}
	f.hold(id, first, at)
}

func (f *Fold) release(id string, first, at events.Position) {
	lay(f.Holds, id, first, at, true)
}

// unreadable enters a record that cannot be read: it holds who its key says, and whom
// it names where that is somebody else, who may be of any partition and any share.
func (f *Fold) unreadable(key, named string, at events.Position) {
	f.aside(key, at, at)
	if named != key {
		lay(f.Strays, named, at, at, false)
	}
}

// concealed looks whether a record that is not the one subject's by its key names it
// all the same.
func (f *Fold) concealed(r *stream.Record) {
	e := &f.event
	*e = events.Event{}
	if f.decoder.Decode(r, e) == nil || e.Type != 0 && !e.Type.Restricts() || e.Subject != f.cfg.Only {
		return
	}
	at := events.Position{Generation: f.cfg.Layout.Generation, Partition: f.Partition, Offset: r.Offset}
	lay(f.Strays, e.Subject.Reveal(), at, at, false)
}

// lay enters one event. A release stays for good: a copy of the event that comes
// later does not hold again.
func lay(all map[Hold]*Held, id string, first, at events.Position, release bool) {
	s, err := events.ParseSubject(id)
	if err != nil {
		return // a key that names nobody holds nobody
	}
	h := all[Hold{s, first}]
	if h == nil {
		s, _ = events.ParseSubject(strings.Clone(id)) // it was one
		h = &Held{-1, -1}
		all[Hold{s, first}] = h
	}
	switch {
	case release && h.Released < 0:
		h.Released = at.Offset
	case !release && h.From < 0:
		h.From = at.Offset
	}
}
