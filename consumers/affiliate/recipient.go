package affiliate

import (
	"github.com/kelisim/kelisim/consumers/internal/slots"
	"github.com/kelisim/kelisim/events"
)

// recipient is a partner as the action needs it, by one edition of the policy.
type recipient struct {
	*Partner
	line   slots.Line  // of its purposes that affiliate acts on
	border slots.Signs // of what crosses its border; none at home, and while affiliate does not act on it
	makers []func(events.Subject) Pseudonym
}

// recipients returns the partners whose entries name anything that affiliate acts
// on. A purpose that joins has everybody acted on, so what is left out until then is
// made up for.
func recipients(partners []Partner, acts slots.Line) []recipient {
	to := make([]recipient, 0, len(partners))
	for i := range partners {
		r := recipient{Partner: &partners[i], line: acts.Of(partners[i].Purposes...)}
		if len(r.line.Purposes) == 0 {
			continue
		}
		r.border = acts.Of(r.Partner.border()).Signs
		for _, key := range r.keys() {
			r.makers = append(r.makers, key.maker())
		}
		to = append(to, r)
	}
	return to
}

// stopWork is what queueing a stop costs, in members: a field of some 300 bytes
// and its place in the queue (measured: 3 µs).
const stopWork = 20

// members returns how many members a turn may remove or add: a pseudonym per key
// and purpose of each recipient, looked up and written, and a stop.
func members(to []recipient) (n int) {
	for i := range to {
		n += 2*len(to[i].makers)*len(to[i].line.Signs) + stopWork
	}
	return n
}

// spell writes where a subject stands for the partner, a sign per purpose. Abroad
// what is allowed is stopped when the border is; what was never open for the
// purpose is not stopped by it. A border that nobody decided about stops nothing,
// and what another decision closed is open again: the guard says no, and its first
// grant, which stops nothing either, must find the pseudonym open.
func (r *recipient) spell(standing events.Standing) string {
	signs := []byte(r.line.Signs.Spell(standing))
	for _, border := range r.border {
		for i, sign := range signs {
			if sign == slots.Allowed && slots.Sign(standing, border) == slots.Stopped {
				signs[i] = slots.Stopped
			}
		}
	}
	return string(signs)
}

// stopped returns the purposes that are.
func (r *recipient) stopped(signs string) (purposes []events.Purpose) {
	for i, purpose := range r.line.Purposes {
		if signs[i] == slots.Stopped {
			purposes = append(purposes, purpose)
		}
	}
	return purposes
}

// pseudonyms returns the subject's under every key in use, the current one first.
func (r *recipient) pseudonyms(subject events.Subject) []Pseudonym {
	all := make([]Pseudonym, len(r.makers))
	for i, pseudonym := range r.makers {
		all[i] = pseudonym(subject)
	}
	return all
}
