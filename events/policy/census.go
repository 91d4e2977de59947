package policy

import (
	"strings"

	"github.com/kelisim/kelisim/events"
)

// Census counts for how many people a change of policy opens a question: whose
// standing grant covers a purpose while old is in force, and does not while next
// is. It folds every event of the log, in the log's order, and keeps one state
// for each subject. It is for one goroutine.
type Census struct {
	old, next *events.Rules
	people    map[events.Subject]events.State
}

// Questions is the result of a census.
type Questions struct {
	People   int                    `json:"people"`   // in the log
	Asked    int                    `json:"asked"`    // with at least one question
	Purposes map[events.Purpose]int `json:"purposes"` // by purpose: people whose grant covers it no longer
}

// NewCensus returns a census of nobody. The book holds both versions.
func NewCensus(b *Book, old, next events.PolicyVersion) *Census {
	return &Census{old: b.rulesOf(old), next: b.rulesOf(next), people: make(map[events.Subject]events.State)}
}

// Add folds one event in. What it keeps of the event it clones.
func (c *Census) Add(e *events.Event) {
	state, known := c.people[e.Subject]
	subject := e.Subject
	if !known {
		var err error
		if subject, err = events.ParseSubject(strings.Clone(e.Subject.Reveal())); err != nil {
			return // of no subject
		}
	}
	c.people[subject], _ = c.old.Apply(state, e)
}

// Questions counts.
func (c *Census) Questions() Questions {
	q := Questions{People: len(c.people), Purposes: make(map[events.Purpose]int)}
	for _, state := range c.people {
		lost := c.old.Standing(state).Allowed &^ c.next.Standing(state).Allowed
		for _, name := range c.old.Names(lost) {
			q.Purposes[name]++
		}
		if lost != 0 {
			q.Asked++
		}
	}
	return q
}
