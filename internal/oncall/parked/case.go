package parked

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/kelisim/kelisim/events"
)

// State is how far a case is.
type State string

// The states.
const (
	// Open: something is to be done.
	Open State = "open"
	// Sent: the event was redriven, and nobody has parked it again.
	Sent State = "redriven"
	// Closed: somebody dismissed it.
	Closed State = "dismissed"
)

// Case is one event that could not be applied, with everything that is known of
// it. It holds no payload; [Desk.Show] reads that.
type Case struct {
	First    events.Position // where it first stood; names the case
	Appended events.Millis   // when it was appended there
	Subject  events.Subject  // of the key; zero where that is no subject
	Named    events.Subject  // whom the event names under a key of somebody, or something, else; zero: nobody
	Type     string          // as its producer spelled it; "" where nobody can say
	Source   string
	Copies   []Copy   // in the order of the parked topic
	Markers  []Marker // the same
	Held     []string // services where it holds whom it concerns now; see [Desk.Holds]

	key []byte
	log events.Position // where it was read in the log of events, if nothing is parked of it any more
}

// State says how far the case is.
func (c *Case) State() State {
	switch {
	case c.dismissed():
		return Closed
	case len(c.Markers) > 0 && !c.parkedAgain():
		return Sent
	}
	return Open
}

// dismissed says whether the last word is a dismissal. A service that builds its
// cache anew parks the event again; that opens nothing, unless its hold is back.
func (c *Case) dismissed() bool {
	n := len(c.Markers)
	return n > 0 && c.Markers[n-1].Deed == Dismissed && len(c.Held) == 0
}

// parkedAgain says whether the last redrive was parked like the event before. A
// dismissal whose hold is back is as good as parked again.
func (c *Case) parkedAgain() bool {
	last := c.Markers[len(c.Markers)-1]
	return last.Deed == Dismissed || slices.ContainsFunc(c.Copies, func(p Copy) bool { return p.position == last.at })
}

// Attempts says how often it was redriven.
func (c *Case) Attempts() (n int) {
	for _, m := range c.Markers {
		if m.Deed == Redriven {
			n++
		}
	}
	return n
}

// ParkedAt is when it was first parked; where nothing is left of that, when the event
// was appended.
func (c *Case) ParkedAt() events.Millis {
	if len(c.Copies) == 0 {
		return c.Appended
	}
	return c.Copies[0].ParkedAt
}

// latest returns the newest copy of each service, by service.
func (c *Case) latest() map[string]Copy {
	out := make(map[string]Copy)
	for _, p := range c.Copies {
		out[p.Service] = p
	}
	return out
}

// Services returns who parked it, in their order.
func (c *Case) Services() []string { return c.distinct(func(p Copy) string { return p.Service }) }

// ReasonIn returns why a service parked it last, or "" if it did not.
func (c *Case) ReasonIn(service string) string { return c.latest()[service].Reason }

// Reasons returns why, each once.
func (c *Case) Reasons() []string {
	if c.log != (events.Position{}) {
		return []string{reasonExpired}
	}
	return c.distinct(func(p Copy) string { return p.Reason })
}

func (c *Case) distinct(of func(Copy) string) []string {
	var out []string
	for _, p := range c.latest() {
		if v := of(p); !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}

// maxShown bounds what is shown of a producer's own words, in bytes.
const maxShown = 80

// shown makes a producer's text safe for a terminal.
func shown(text string) string {
	if len(text) > maxShown {
		text = text[:maxShown]
	}
	quoted := strconv.QuoteToASCII(text)
	return quoted[1 : len(quoted)-1]
}

// ParseState reads the name of a state.
func ParseState(text string) (State, error) {
	for _, s := range []State{Open, Sent, Closed} {
		if text == string(s) {
			return s, nil
		}
	}
	return "", fmt.Errorf("%q is none of %s, %s, %s", text, Open, Sent, Closed)
}
