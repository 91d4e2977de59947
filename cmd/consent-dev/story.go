package main

import (
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/guard"
)

// story is one withdrawal as it was measured. All times are after the moment at
// which Kafka had acknowledged it; what was sooner counts as zero.
type story struct {
	number   int
	subject  string // synthetic, so it may be shown
	began    time.Time
	purposes []events.Purpose
	took     time.Duration // from publishing to the acknowledgement
	at       events.Position
	chapters []chapter
	promises []promise
	others   int64 // decisions of synthetic subjects that were acknowledged so far
}

// chapter is what one service did.
type chapter struct {
	desk          *desk
	before, after guard.Decision
	denied        time.Duration // the guard said no
	acted         time.Duration // nothing was left at the desk
}

// promise is one sentence of DESIGN 1, as far as a story can see it.
type promise struct {
	text   string
	broken error // nil: it held
}

// slowest returns when the last guard denied and when the last action was done.
func (s *story) slowest() (denied, acted time.Duration) {
	for _, c := range s.chapters {
		denied, acted = max(denied, c.denied), max(acted, c.acted)
	}
	return denied, acted
}

// held says whether no promise was broken.
func (s *story) held() bool {
	for _, p := range s.promises {
		if p.broken != nil {
			return false
		}
	}
	return true
}
