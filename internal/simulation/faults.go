package simulation

import "github.com/kelisim/kelisim/events"

// Faults is what goes wrong in the histories of one row. The chances are one in
// so many decisions; 0 is never.
type Faults struct {
	Name string
	Skew events.Millis // how wrong a producer's clock may be, either way

	LateCopies int // a copy of the produce request arrives late
	Redrives   int // a service parks the event; it is redriven later
	Delays     int // the producer sends the event late

	Measures bool // the producer's own: idempotence, and a clock measured against the broker's
}

// How large the faults are. Where a row has them all, these are the extents.
const (
	maxDelay    = 60_000    // ms: a producer's outbox that waits for the broker to come back
	maxLateCopy = 15_000    // ms: the default delivery timeouts of clients are 10 to 120 s
	minRedrive  = 60_000    // ms: a person looks at the parked topic, a minute
	maxRedrive  = 3_600_000 // or an hour later

	// measuredSkew is how far behind the broker's clock a producer stamps that
	// measures its own against the append time of every acknowledgement. It
	// never stamps ahead.
	measuredSkew = 250 // ms
)

// Rows returns the rows of DESIGN 3, without the producer's measures.
func Rows() []Faults {
	all := func(name string, skew events.Millis) Faults {
		return Faults{Name: name, Skew: skew, LateCopies: 20, Redrives: 50, Delays: 20}
	}
	return []Faults{
		{Name: "clocks within 50 ms", Skew: 25},
		{Name: "clock skew up to 60 s", Skew: 60_000},
		{Name: "late copy of a produce request, 1 in 20", Skew: 25, LateCopies: 20},
		{Name: "redrive, 1 in 50", Skew: 25, Redrives: 50},
		{Name: "delayed in the producer, 1 in 20", Skew: 25, Delays: 20},
		all("all of these, skew 0.5 s", 500),
		all("all of these, skew 2 s", 2_000),
		all("all of these, skew 60 s", 60_000),
	}
}

// Measured returns the same faults as they are with the producer's measures:
// an idempotent producer leaves no late copies, and a clock measured against the
// broker's is never ahead and little behind.
func (f Faults) Measured() Faults {
	f.Measures, f.LateCopies = true, 0
	return f
}

// clock draws how wrong a producer's clock is.
func (f Faults) clock(d *dice) events.Millis {
	if f.Measures {
		return -d.upTo(min(f.Skew, measuredSkew))
	}
	return d.upTo(2*f.Skew) - f.Skew
}
