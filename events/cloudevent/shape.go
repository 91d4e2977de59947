package cloudevent

import (
	"math/bits"
	"slices"
	"strings"

	"github.com/kelisim/kelisim/events"
)

// Presence says whether an attribute stands on an event. The zero Presence is
// Never.
type Presence uint8

// The presences.
const (
	Never Presence = iota
	May
	Must
)

// Shape says which of the attributes that depend on the type an event has. The
// zero Shape has none.
type Shape struct {
	Subject  Presence
	Purposes Presence // on a block, none means all
	Policy   Presence // policyversion
	Method   Presence // method: what permits says how it came about
	Evidence Presence // evidence: what permits can be proved (GDPR Art. 7(1))
	Request  Presence // requestsource, requestid, ground, reference and reviewby, together
	First    Presence // firstposition and firsttime, together
}

// ShapeOf returns the shape of a type.
func ShapeOf(t events.Type) Shape {
	s := Shape{Subject: Must, Policy: May, Method: May, Evidence: May, First: May}
	if !t.Restricts() {
		s.Method, s.Evidence = Must, Must
	}
	switch t {
	case events.Granted:
		s.Purposes, s.Policy = Must, Must
	case events.Withdrawn, events.WithdrawalRequested:
		s.Purposes = Must
	case events.WithdrawalRefused:
		s.Purposes, s.Request = Must, Must
	case events.Blocked, events.Unblocked:
		s.Purposes = May
	case events.PolicyAccepted:
		s.Policy = Must
	case events.AgreementStarted, events.AgreementSuspended, events.AgreementResumed, events.AgreementEnded, events.SubjectErased:
	case events.PolicyPublished:
		return Shape{Policy: Must}
	case events.StateCarried:
		return Shape{Subject: Must}
	default:
		return Shape{}
	}
	return s
}

// mask is a set of slots, as attributes.has is one.
type mask uint32

// mandatory is what every event has, whatever its type.
const mandatory mask = 1<<eventTime | 1<<dataContentType | 1<<partitionKey

// masks are the shape in a form that is checked at once.
func (s Shape) masks() (must, never mask) {
	for _, rule := range [...]struct {
		of   Presence
		mask mask
	}{
		{s.Subject, 1 << subject},
		{s.Purposes, 1 << purposes},
		{s.Policy, 1 << policyVersion},
		{s.Method, 1 << method},
		{s.Evidence, 1 << evidence},
		{s.Request, 1<<requestSource | 1<<requestID | 1<<ground | 1<<reference | 1<<reviewBy},
		{s.First, 1<<firstPosition | 1<<firstTime},
	} {
		switch rule.of {
		case Never:
			never |= rule.mask
		case Must:
			must |= rule.mask
		}
	}
	return must | mandatory, never
}

// shapes are the masks of all types, by their number; never written.
var shapes = func() (table []struct{ must, never mask }) {
	for _, t := range slices.Concat([]events.Type{0}, events.Types(), events.LogTypes()) {
		must, never := ShapeOf(t).masks()
		table = append(table, struct{ must, never mask }{must, never})
	}
	return table
}()

// check holds the attributes of an event to the shape of its type.
func (a *attributes) check(t events.Type) error {
	shape := &shapes[t]
	if missing := shape.must &^ a.has; missing != 0 {
		return refuse(MissingAttribute, missing.String())
	}
	if extra := shape.never & a.has; extra != 0 {
		return refuse(ExtraAttribute, extra.String())
	}
	const redriven mask = 1<<firstPosition | 1<<firstTime
	if half := a.has & redriven; half != 0 && half != redriven {
		return refuse(MissingAttribute, (redriven &^ half).String())
	}
	return nil
}

// String names all of a mask, with a comma between each two.
func (m mask) String() string {
	var names []string
	for ; m != 0; m &= m - 1 {
		names = append(names, slot(bits.TrailingZeros32(uint32(m))).String())
	}
	return strings.Join(names, ", ")
}
