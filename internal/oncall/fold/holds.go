package fold

import (
	"strings"

	"github.com/kelisim/kelisim/events"
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
