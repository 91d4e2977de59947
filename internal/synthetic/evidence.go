package synthetic

import "github.com/kelisim/kelisim/events"

// reviewAfter is when a refusal's ground is looked at again, in milliseconds: a
// quarter of a year.
const reviewAfter events.Millis = 90 * 24 * 60 * 60 * 1000

// prove gives an event what proves it: a pointer, where the decision was made, and
// on a refusal its ground, what that refers to and when it is looked at again. It names nobody.
func (g *Generator) prove(e *events.Event) {
	channels := [...]string{"app", "web", "call-centre", "letter"}
	data := []byte(`{"channel":"`)
	data = append(data, channels[g.random.IntN(len(channels))]...)
	data = append(data, '"')
	if e.Type == events.WithdrawalRefused {
		e.Ground, e.Reference = events.ObligationUnfulfilled, "urn:kelisim:obligation:"+e.ID
		e.Method, e.ReviewBy = events.ByStaff, e.Decided+reviewAfter
	}
	e.Evidence, e.Data = "urn:kelisim:evidence:"+e.ID, append(data, '}')
}
