package consumers

import (
	"hash/maphash"
	"strings"
	"sync/atomic"

	"github.com/kelisim/kelisim/events"
)

// entry is what the engine remembers of a subject: its newest folded state, and
// what the open window has to know to write it.
type entry struct {
	subject events.Subject
	number  uint32 // in the memo's pool
	tag     uint32 // of the subject
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
	seed       maphash.Seed // so that nobody can choose ids that share a tag
	young, old index
	entries    pool
}

func newMemo(limit int, complete bool, stored *atomic.Int64) *memo {
	return &memo{limit: max(limit/2, 1), stored: stored, complete: complete, seed: maphash.MakeSeed()}
}

// tag is what the indices know of a subject: never 0.
func (m *memo) tag(s events.Subject) uint32 {
	return max(1, uint32(maphash.String(m.seed, s.Reveal())))
}

// find returns the entry of the subject with the tag, new if need be. Its state may
// not be known yet. The subject may be a view into a record.
func (m *memo) find(tag uint32, s events.Subject) *entry {
	if e := m.young.find(tag, s, &m.entries); e != nil {
		return e
	}
	e := m.old.find(tag, s, &m.entries)
	if e == nil {
		e = m.entries.take()
		e.subject, e.tag, e.known = cloneSubject(s), tag, m.complete
	}
	m.young.add(tag, e.number)
	return e
}

// age forgets the old generation when the young one is full, except what the
// cache does not have yet. It is called between chunks, never within one: a
// subject has one entry.
func (m *memo) age() {
	if m.young.used < m.limit {
		return
	}
	stored := m.stored.Load()
	var young index
	for _, slot := range m.old.slots {
		if slot.number == 0 {
			continue
		}
		e := m.entries.entry(slot.number)
		v, _ := e.state.Version()
		switch {
		case e.open || v.Offset >= stored:
			young.add(slot.tag, slot.number)
		case m.young.find(slot.tag, e.subject, &m.entries) == nil:
			m.complete = false
			m.entries.give(e)
		}
	}
	m.old, m.young = m.young, young
}

// cloneSubject copies an id out of the record it is a view of.
func cloneSubject(s events.Subject) events.Subject {
	c, err := events.ParseSubject(strings.Clone(s.Reveal()))
	if err != nil {
		return events.Subject{}
	}
	return c
}
