package policy

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
)

// logbook makes events as one partition of the log holds them.
type logbook struct {
	t     require.TestingT
	rules *events.Rules
	next  int64
}

// event returns the next event of a person. The version is that of a grant.
func (l *logbook) event(who string, kind events.Type, under string, purposes ...events.Purpose) *events.Event {
	subject, err := events.ParseSubject(who)
	require.NoError(l.t, err)
	set, err := l.rules.Set(purposes...)
	require.NoError(l.t, err)
	l.next++
	at := events.Millis(l.next * 10_000)
	return &events.Event{
		Method: events.ByPerson, ID: fmt.Sprint(l.next), Source: "/test", Type: kind, Subject: subject, Decided: at, Purposes: set, Policy: events.PolicyVersion(under),
		Logged: events.Stamp{Position: events.Position{Generation: 1, Offset: l.next}, Appended: at},
	}
}

func TestCensusCountsPeopleWhoseGrantIsCoveredNoLonger(t *testing.T) {
	b := bookOf(t, must3(threeVersions(t))...) // the second widens research
	l := &logbook{t: t, rules: b.Rules()}
	census := NewCensus(b, "1", "2")
	for _, e := range []*events.Event{
		l.event("asked", events.Granted, "1", "research", "promotion"),
		l.event("withdrew", events.Granted, "1", "research"),
		l.event("withdrew", events.Withdrawn, "", "research"),
		l.event("renewed", events.Granted, "1", "research"),
		l.event("renewed", events.Granted, "2", "research"),
		l.event("not-for-research", events.Granted, "1", "promotion"),
		l.event("unknown-version", events.Granted, "0", "research"),
		l.event("older-grant-stands", events.Granted, "1", "research"),
		l.event("older-grant-stands", events.Granted, "2", "promotion"),
		l.event("blocked", events.Granted, "1", "research"),
		l.event("blocked", events.Blocked, ""),
		l.event("on-contract", events.AgreementStarted, ""),
	} {
		census.Add(e)
	}
	require.Equal(t, Questions{People: 8, Asked: 2, Purposes: map[events.Purpose]int{"research": 2}}, census.Questions())

	nothing := NewCensus(b, "2", "3")
	nothing.Add(l.event("asked", events.Granted, "2", "research"))
	nothing.Add(&events.Event{Method: events.ByPerson, Type: events.Granted, Policy: "2"}) // of nobody
	require.Equal(t, Questions{People: 1, Purposes: map[events.Purpose]int{}}, nothing.Questions())
}

// A grant that stood before a refused request stands again, under its version.
func TestCensusKnowsTheVersionOfAGrantThatCameBack(t *testing.T) {
	one := draft{version: "1", published: "2026-11-01"}.build(t)
	two := draft{version: "2", published: "2026-12-01"}.build(t) // asks for everything again
	b := bookOf(t, one, two)
	l := &logbook{t: t, rules: b.Rules()}
	census := NewCensus(b, "1", "2")
	census.Add(l.event("person", events.Granted, "1", "contractors"))
	request := l.event("person", events.WithdrawalRequested, "", "contractors")
	census.Add(request)
	census.Add(l.event("person", events.Granted, "2", "promotion"))
	require.Zero(t, census.Questions().Asked)
	refusal := l.event("person", events.WithdrawalRefused, "", "contractors")
	refusal.Request = events.Ref{Source: request.Source, ID: request.ID}
	census.Add(refusal)
	require.Equal(t, map[events.Purpose]int{"contractors": 1}, census.Questions().Purposes)
}
