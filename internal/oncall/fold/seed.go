package fold

import (
	"strings"

	"github.com/kelisim/kelisim/events"
)

// Seed begins with a state that somebody else folded, if its subject is of the
// share; a later one of the same subject counts. Events that the state knows change
// nothing when they are folded. [ErrCrowd] is that of Records.
func (f *Fold) Seed(s events.Subject, state events.State) error {
	if !f.mine([]byte(s.Reveal())) {
		return nil
	}
	p := f.Person(s)
	p.State = state
	if at, known := state.Version(); known {
		p.Since = at.Offset // or before: whoever is past it has a state
	}
	if len(f.People) > f.cfg.Limit {
		return ErrCrowd
	}
	return nil
}

// SeedHolds begins with what holds a subject: positions, separated by spaces, as
// caches and snapshots keep them. Of one that was released nobody can tell by what,
// nor of whom more holds than is kept: neither is judged.
func (f *Fold) SeedHolds(s events.Subject, held string) {
	if !f.mine([]byte(s.Reveal())) {
		return
	}
	for entry := range strings.FieldsSeq(held) {
		text, released := strings.CutPrefix(entry, "-")
		at, err := events.ParsePosition(text)
		if err != nil {
			continue
		}
		h := &Held{-1, -1}
		f.Holds[Hold{s, at}] = h
		switch {
		case released:
		case at.Generation == f.cfg.Layout.Generation && at.Partition == f.Partition:
			h.From = at.Offset
		default:
			f.Elsewhere = append(f.Elsewhere, Hold{s, at})
		}
	}
}

// doubt enters that nobody can tell whether an event holds.
func (f *Fold) doubt(id string, first events.Position) {
	s, err := events.ParseSubject(id)
	if err != nil {
		return
	}
	h := f.Holds[Hold{s, first}]
	if h == nil {
		s, _ = events.ParseSubject(strings.Clone(id)) // it was one
		f.Holds[Hold{s, first}] = &Held{-1, -1}
		return
	}
	*h = Held{-1, -1}
}
