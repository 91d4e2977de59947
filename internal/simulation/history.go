package simulation

import (
	"math"
	"math/rand/v2"

	"github.com/kelisim/kelisim/events"
)

const (
	producers    = 3
	minDecisions = 2
	maxDecisions = 7

	// maxRecords: every decision, with a late copy and a redrive.
	maxRecords = 3 * maxDecisions

	latency = 30 // ms: from the person's decision to the append, at most

	// A person's second thoughts come within seconds, everything else within a
	// minute or so. Two decisions are further apart than the best clocks differ.
	minPause   = 50     // ms
	quickPause = 2_000  // ms, on average
	slowPause  = 30_000 // ms, on average
)

// decision is what the person decided, and what the producer stamped.
type decision struct {
	grant   bool
	source  int
	id      int
	decided events.Millis // by the producer's clock
}

// record is one record of the log, in the order of the log.
type record struct {
	decision
	at       events.Millis // of the append, by the broker's clock
	offset   int64
	parked   bool // no service could apply it: only its redrive counts
	redriven bool // keeps the place and append time of the record that was parked
	first    int64
	firstAt  events.Millis
}

// history is what happened to one subject. It is filled anew for each, so that
// a million of them cost no memory.
type history struct {
	log       []record
	permitted bool // the last decision, in real time, was a grant
	room      [maxRecords]record
}

// dice draws. The same seed draws the same.
type dice struct {
	source rand.PCG
	*rand.Rand
}

func newDice() *dice {
	d := &dice{}
	d.Rand = rand.New(&d.source)
	return d
}

func (d *dice) reset(seed, history uint64) { d.source.Seed(seed, history) }

func (d *dice) upTo(most events.Millis) events.Millis {
	return events.Millis(d.Int64N(int64(most) + 1))
}

// once draws whether what happens to one in so many happens now.
func (d *dice) once(in int) bool { return in > 0 && d.IntN(in) == 0 }

func (d *dice) pause() events.Millis {
	mean := float64(quickPause)
	if d.IntN(2) == 0 {
		mean = slowPause
	}
	return minPause + events.Millis(math.Round(d.ExpFloat64()*mean))
}

// draw fills the history with what happens under the faults.
func (h *history) draw(d *dice, f Faults) {
	var clocks [producers]events.Millis
	for i := range clocks {
		clocks[i] = f.clock(d)
	}
	h.log = h.room[:0]
	now := events.Millis(1_000_000_000)
	for id := range minDecisions + d.IntN(maxDecisions-minDecisions+1) {
		now += d.pause()
		source := d.IntN(producers)
		said := decision{grant: d.IntN(2) == 0, source: source, id: id, decided: now + clocks[source]}
		h.permitted = said.grant
		h.send(d, f, said, now)
	}
	h.settle()
}

// send adds the records of one decision.
func (h *history) send(d *dice, f Faults, said decision, now events.Millis) {
	at := now + 1 + d.upTo(latency)
	if d.once(f.Delays) {
		at += d.upTo(maxDelay)
	}
	first := record{decision: said, at: at, parked: d.once(f.Redrives)}
	h.log = append(h.log, first)
	if d.once(f.LateCopies) {
		h.log = append(h.log, record{decision: said, at: at + 1 + d.upTo(maxLateCopy)})
	}
	if first.parked {
		again := record{decision: said, at: at + minRedrive + d.upTo(maxRedrive-minRedrive), redriven: true, firstAt: at}
		h.log = append(h.log, again)
	}
}

// settle puts the log in order and gives every record its place.
func (h *history) settle() {
	for i := 1; i < len(h.log); i++ { // a dozen records, nearly in order
		for j := i; j > 0 && h.log[j].at < h.log[j-1].at; j-- {
			h.log[j], h.log[j-1] = h.log[j-1], h.log[j]
		}
	}
	var places [maxDecisions]int64
	for i := range h.log {
		r := &h.log[i]
		r.offset = int64(i)
		switch {
		case r.parked:
			places[r.id] = r.offset
		case r.redriven:
			r.first = places[r.id]
		}
	}
}
