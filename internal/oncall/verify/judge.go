package verify

import (
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/fold"
)

// Kind is in which way a cache differs from the log. The zero Kind is none.
type Kind string

// The kinds of difference.
const (
	Missing    Kind = "missing"      // the log gives a state, and none is stored
	Extra      Kind = "extra"        // a state is stored, and the log gives none
	Older      Kind = "older"        // a state before the last event that was applied
	Newer      Kind = "newer"        // a state of an event that changed nothing, or that there is not
	Altered    Kind = "altered"      // of the right event, with other content
	Unheld     Kind = "unheld"       // a parked event ought to hold, and does not
	HeldByNone Kind = "held-by-none" // held, without a parked event
	NotKept    Kind = "digest"       // the states are right, and the digest that the service keeps is not
	NotStored  Kind = "sum"          // what is stored is not what the service's digest sums up
	Disagree   Kind = "disagree"     // two services at the same position keep different digests
	Torso      Kind = "torso"        // the service built it from a log that had lost its beginning: its guard denies
	NoPosition Kind = "no-position"  // the service knows nothing of the partition: its guard denies
	Beyond     Kind = "beyond-log"   // it applied more than the log has: the log lost its end
	Lost       Kind = "lost"         // it is so far behind that the log no longer has what comes next
)

// verdict is what comparing one state comes to. It is a Kind, or one of these.
type verdict = Kind

const (
	equal    verdict = ""
	behind   verdict = "behind"   // the service has not come that far
	moving   verdict = "moving"   // the service has come further than the fold
	unjudged verdict = "unjudged" // neither log nor snapshots have all that decides
)

// bounds are the positions at which a state is judged.
type bounds struct {
	spot   cache.Spot // of the service, read before the state was
	folded int64      // the fold has everything below
	whole  bool       // the fold knows everything from the first event on
}

// judge compares what is stored of a person with the log. Every state of an event
// below spot.Next must be there; one of an event that is not folded yet cannot be
// judged now.
func judge(p *fold.Person, stored string, at bounds) verdict {
	if stored == p.State.Encoded() {
		return equal
	}
	if stored == "" {
		if p.Since < at.spot.Next {
			return Missing
		}
		return behind
	}
	state, err := events.ParseState([]byte(stored))
	is, known := state.Version()
	if err != nil || !known || !p.State.IsZero() && !sameLog(p.State, is) {
		return Altered
	}
	if is.Offset >= at.folded {
		return moving
	}
	return at.sift(p.Version(), is.Offset)
}

// sift tells apart states that differ, both of events that were folded.
func (at bounds) sift(right, is int64) verdict {
	switch {
	case !at.whole:
		return unjudged
	case is < right && right >= at.spot.Next:
		return behind
	case right < 0:
		return Extra
	case is < right:
		return Older
	case is > right:
		return Newer
	}
	return Altered
}

func sameLog(s events.State, at events.Version) bool {
	v, _ := s.Version()
	return v.SameLog(at)
}

// last judges what was still moving when nobody looks again: a state at or beyond
// all that the service ever wrote is none of its.
func last(v verdict, stored string, now cache.Spot) verdict {
	state, err := events.ParseState([]byte(stored))
	if v != moving || err != nil {
		return v
	}
	if is, known := state.Version(); known && now.Known && is.Offset >= max(now.Top, now.Next) {
		return Newer
	}
	return v
}
