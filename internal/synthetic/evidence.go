package synthetic

import "github.com/kelisim/kelisim/events"

// evidence returns the data of an event: where a decision was made, and a
// pointer to its proof. It decides nothing and names nobody.
func (g *Generator) evidence(e *events.Event) []byte {
	channels := [...]string{"app", "web", "call-centre", "letter"}
	data := []byte(`{"channel":"`)
	data = append(data, channels[g.random.IntN(len(channels))]...)
	data = append(data, `","evidence":"urn:kelisim:evidence:`...)
	data = append(data, e.ID...)
	data = append(data, `"`...)
	if e.Type == events.WithdrawalRefused {
		data = append(data, `,"ground":"unfulfilled-obligation"`...)
	}
	return append(data, '}')
}
