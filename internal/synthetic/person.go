package synthetic

import "github.com/kelisim/kelisim/events"

// person is what the generator remembers of one subject, so that the next
// decision makes sense.
type person struct {
	arrived   uint8 // events of the arrival that were told
	agreement bool
	blocked   bool
	granted   events.PurposeSet // open, not counting pending
	pending   events.PurposeSet // restricted by the open request
	request   events.Ref        // the open request; zero when there is none
}

// arrivals is how many events a subject's arrival takes.
const arrivals = 3

// decide gives the event its type and purposes, changes the person by it, and
// says whether a decision of this type makes sense now.
func (p *person) decide(t events.Type, g *Generator, e *events.Event) bool {
	e.Type = t
	switch t {
	case events.Granted:
		e.Purposes = g.some(g.onConsent &^ p.granted &^ p.pending)
		p.granted |= e.Purposes
		return e.Purposes != 0
	case events.Withdrawn:
		if p.pending != 0 && g.random.IntN(4) == 0 { // the request is upheld
			e.Purposes, p.pending, p.request = p.pending, 0, events.Ref{}
			return true
		}
		e.Purposes = g.some(p.granted)
		p.granted &^= e.Purposes
		return e.Purposes != 0
	case events.WithdrawalRequested:
		if p.pending != 0 {
			return false
		}
		e.Purposes = g.some(p.granted & g.refusable)
		p.granted &^= e.Purposes
		p.pending, p.request = e.Purposes, events.Ref{Source: e.Source, ID: e.ID}
		return e.Purposes != 0
	case events.WithdrawalRefused:
		if p.pending == 0 {
			return false
		}
		e.Purposes, e.Request = p.pending, p.request
		p.granted |= p.pending
		p.pending, p.request = 0, events.Ref{}
		return true
	case events.PolicyAccepted:
		return true
	}
	return p.change(t)
}

// change is the part of decide that needs no purposes.
func (p *person) change(t events.Type) bool {
	var possible bool
	switch t {
	case events.Blocked:
		possible, p.blocked = !p.blocked, true
	case events.Unblocked:
		possible, p.blocked = p.blocked, false
	case events.AgreementStarted:
		possible, p.agreement = !p.agreement, true
	case events.AgreementEnded:
		possible, p.agreement = p.agreement, false
	case events.SubjectErased:
		if possible = !p.agreement && !p.blocked; possible {
			*p = person{}
		}
	}
	return possible
}
