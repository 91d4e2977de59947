package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kelisim/kelisim/events"
)

// Census counts for how many people a change of policy opens a question: whose
// standing grant covers a purpose while old is in force, and does not while next
// is. It folds every event of the log, in the log's order, and keeps one state
// for each subject. It is for one goroutine.
type Census struct {
	book      *Book
	old, next events.PolicyVersion
	people    map[events.Subject]*citizen
}

// citizen is where one subject stands, and under which versions it consented.
type citizen struct {
	state  events.State
	grants []grant // in rising order of offsets, without those that say the same as the one before
}

// grant says that the grants from an offset on, up to that of the next, were
// given under a version.
type grant struct {
	offset int64
	under  events.PolicyVersion
}

// Questions is the result of a census.
type Questions struct {
	People   int                    `json:"people"`   // in the log
	Asked    int                    `json:"asked"`    // with at least one question
	Purposes map[events.Purpose]int `json:"purposes"` // by purpose: people whose grant covers it no longer
}

// NewCensus returns a census of nobody. The book holds both versions.
func NewCensus(b *Book, old, next events.PolicyVersion) *Census {
	return &Census{book: b, old: old, next: next, people: make(map[events.Subject]*citizen)}
}

// Add folds one event in. What it keeps of the event it clones.
func (c *Census) Add(e *events.Event) {
	person := c.people[e.Subject]
	if person == nil {
		subject, err := events.ParseSubject(strings.Clone(e.Subject.Reveal()))
		if err != nil {
			return // of no subject
		}
		person = new(citizen)
		c.people[subject] = person
	}
	person.state, _ = c.book.Rules().Apply(person.state, e)
	if e.Type == events.Granted {
		person.granted(e)
	}
}

// granted notes under which version the grant at an offset was given. A redriven
// grant counts where it first stood, alone among the older ones.
func (p *citizen) granted(e *events.Event) {
	at, redriven := e.Logged.Position.Offset, false
	if e.First.Position.SameLog(e.Logged.Position) && e.First.Position.Offset < at {
		at, redriven = e.First.Position.Offset, true
	}
	before := p.under(at)
	if before == e.Policy {
		return
	}
	i, found := p.search(at)
	if !found {
		p.grants = slices.Insert(p.grants, i, grant{offset: at})
	}
	p.grants[i].under = events.PolicyVersion(strings.Clone(string(e.Policy)))
	if next := i + 1; redriven && (next == len(p.grants) || p.grants[next].offset > at+1) {
		p.grants = slices.Insert(p.grants, next, grant{at + 1, before})
	}
}

func (p *citizen) search(offset int64) (int, bool) {
	return slices.BinarySearchFunc(p.grants, offset, func(g grant, at int64) int { return cmp.Compare(g.offset, at) })
}

// under returns the version that the grant at an offset was given under, or none.
func (p *citizen) under(offset int64) events.PolicyVersion {
	i, found := p.search(offset)
	if found {
		i++
	}
	if i == 0 {
		return ""
	}
	return p.grants[i-1].under
}

// Questions counts.
func (c *Census) Questions() Questions {
	q := Questions{People: len(c.people), Purposes: make(map[events.Purpose]int)}
	rules := c.book.Rules()
	for _, person := range c.people {
		asked := false
		for _, name := range rules.Names(rules.Standing(person.state).Allowed) {
			answer := rules.Decide(person.state, name)
			if answer.Reason != events.ByGrant {
				continue
			}
			given := person.under(answer.By.Offset)
			rule, _ := rules.Rule(name)
			if c.book.CoveredBy(c.old, given).Has(rule.Code) && !c.book.CoveredBy(c.next, given).Has(rule.Code) {
				q.Purposes[name]++
				asked = true
			}
		}
		if asked {
			q.Asked++
		}
	}
	return q
}
