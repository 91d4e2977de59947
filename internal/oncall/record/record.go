// Package record describes one record of consent.events.v1 to people: what it says
// without the person whom it says it of.
package record

import (
	"errors"
	"strings"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
)

// Event is a record that was read.
type Event struct {
	Position string           `json:"position"`
	Appended time.Time        `json:"appended"`        // by the broker's clock
	Subject  events.Subject   `json:"subject"`         // masked
	Fault    string           `json:"fault,omitempty"` // why it is no event; then the rest is empty
	Type     string           `json:"type,omitempty"`
	ID       string           `json:"id,omitempty"`
	Source   string           `json:"source,omitempty"`
	Decided  *time.Time       `json:"decided,omitempty"` // by the source's clock
	Method   string           `json:"method,omitempty"`
	Policy   string           `json:"policy,omitempty"`
	Purposes []events.Purpose `json:"purposes,omitempty"`
	Evidence string           `json:"evidence,omitempty"`
	First    string           `json:"first,omitempty"` // position, of a redriven event
}

// Reader reads records.
type Reader struct {
	Rules      *events.Rules
	Generation uint32
}

// Position returns where a record stands.
func (r Reader) Position(record *stream.Record) events.Position {
	return events.Position{Generation: r.Generation, Partition: record.Partition, Offset: record.Offset}
}

// Stamp returns where and when a record stands in the log.
func (r Reader) Stamp(record *stream.Record) events.Stamp {
	return events.Stamp{Position: r.Position(record), Appended: events.Millis(record.Time)}
}

// Describe returns what a record says, and its event, which is a view of the
// record. Of what is none the event is the zero one.
func (r Reader) Describe(record *stream.Record) (Event, events.Event) {
	out := Event{Position: r.Position(record).String(), Appended: events.Millis(record.Time).Time()}
	var e events.Event
	if err := (cloudevent.Decoder{Rules: r.Rules}).Decode(record, &e); err != nil {
		out.Subject, _ = events.ParseSubject(string(record.Key)) // the zero Subject is nobody
		out.Fault = err.Error()
		var reasoned interface{ Reason() string }
		if errors.As(err, &reasoned) {
			out.Fault = reasoned.Reason()
		}
		return out, events.Event{}
	}
	e.Logged = r.Stamp(record)
	decided := e.Decided.Time()
	out.Subject, out.Type, out.Decided = clone(e.Subject), e.Type.String(), &decided
	out.ID, out.Source, out.Evidence = strings.Clone(e.ID), strings.Clone(e.Source), strings.Clone(e.Evidence)
	out.Policy, out.Purposes = strings.Clone(string(e.Policy)), r.Rules.Names(e.Purposes)
	if e.Method != 0 {
		out.Method = e.Method.String()
	}
	if !e.First.IsZero() {
		out.First = e.First.Position.String()
	}
	return out, e
}

func clone(s events.Subject) events.Subject {
	s, _ = events.ParseSubject(strings.Clone(s.Reveal())) // it was one
	return s
}

// Words says what the event does, on one line: "granted promotion, surveys".
func (e Event) Words() string {
	if e.Fault != "" {
		return "unreadable: " + e.Fault
	}
	words := strings.TrimSuffix(strings.TrimPrefix(e.Type, typePrefix), typeSuffix)
	if len(e.Purposes) > 0 {
		names := make([]string, len(e.Purposes))
		for i, p := range e.Purposes {
			names[i] = string(p)
		}
		words += " " + strings.Join(names, ",")
	}
	return words
}

// Frame of the names of our types, which tables leave out.
const typePrefix, typeSuffix = "io.kelisim.", ".v1"

// FullType returns the CloudEvents name of a type that is named in full or as the
// tables show it: consent.withdrawn.
func FullType(name string) string {
	if strings.HasPrefix(name, typePrefix) {
		return name
	}
	return typePrefix + strings.TrimSuffix(name, typeSuffix) + typeSuffix
}
