package consumers

import (
	"strings"
	"sync/atomic"

	"github.com/kelisim/kelisim/events"
)

// slab is how many entries are allocated at a time: one allocation instead of
// one per subject, and the collector walks fewer objects.
const slab = 256

// entry is what the engine remembers of a subject: its newest folded state, and
// what the open window has to know to write it.
type entry struct {
	subject events.Subject
	state   events.State
	stopped events.PurposeSet // where state stands
	by      *events.Rules     // that stopped was worked out by
	known   bool              // state was loaded or is known to be absent

	open        bool         // changed in the window that is open
	base        events.State // before the window
	baseStopped events.PurposeSet
	since       int64 // offset of the first event of the window that changed it
}

// judge works out where the state stands by the given rules: those of another
// edition of the policy may have said otherwise, and by now that was acted on.
func (e *entry) judge(rules *events.Rules) {
	e.by, e.stopped = rules, 0
	if !e.state.IsZero() {
		e.stopped = rules.Standing(e.state).Stopped
	}
}

// memo keeps the states of one partition's subjects in the consumer, so that a
// fold need not ask Redis. The cache's position check tells when it is outdated:
// then it is thrown away as a whole.
//
// It is bounded by two generations: when the young one is full it becomes the
// old one, and what the old one held is asked for again. While nothing was ever
// forgotten of a partition that began empty, absence here is absence there.
// What is not stored yet is never forgotten.
type memo struct {
	limit      int // entries per generation
	stored     *atomic.Int64
	complete   bool
	young, old map[events.Subject]*entry
	free       []entry
}

func newMemo(limit int, complete bool, stored *atomic.Int64) *memo {
	return &memo{limit: max(limit/2, 1), stored: stored, complete: complete, young: make(map[events.Subject]*entry)}
}

// find returns the subject's entry, new if need be. Its state may not be known
// yet. The subject may be a view into a record.
func (m *memo) find(s events.Subject) *entry {
	if e := m.young[s]; e != nil {
		return e
	}
	e := m.old[s]
	if e == nil {
		e = m.fresh(s)
	}
	m.young[e.subject] = e
	return e
}

// age forgets the old generation when the young one is full, except what the
// cache does not have yet. It is called between chunks, never within one: a
// subject has one entry.
func (m *memo) age() {
	if len(m.young) < m.limit {
		return
	}
	stored := m.stored.Load()
	young := make(map[events.Subject]*entry, m.limit)
	for s, e := range m.old {
		v, _ := e.state.Version()
		if e.open || v.Offset >= stored {
			young[s] = e
		} else if m.young[s] != e {
			m.complete = false
		}
	}
	m.old, m.young = m.young, young
}

func (m *memo) fresh(s events.Subject) *entry {
	if len(m.free) == 0 {
		m.free = make([]entry, slab)
	}
	e := &m.free[0]
	m.free = m.free[1:]
	e.subject, e.known = cloneSubject(s), m.complete
	return e
}

// cloneSubject copies an id out of the record it is a view of.
func cloneSubject(s events.Subject) events.Subject {
	c, err := events.ParseSubject(strings.Clone(s.Reveal()))
	if err != nil {
		return events.Subject{}
	}
	return c
}
