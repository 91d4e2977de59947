package cache

import (
	"slices"
	"strings"

	"github.com/kelisim/kelisim/events"
)

// holds is what is stored of the events that hold one subject: their positions,
// separated by spaces. A position that was released stays, with a minus in
// front, so that a replay of the same event does not hold the subject again.
type holds string

// maxHolds bounds the positions kept for one subject. Whoever has more is held
// until every kept one is released and the mark of overflow is dismissed by
// releasing the zero position: a producer that sends so much rubbish about one
// person needs a look anyway.
const (
	maxHolds     = 32
	overflowHold = "*"
)

// held says whether any event holds the subject. What cannot be read holds.
func (h holds) held() bool {
	for entry := range strings.SplitSeq(string(h), " ") {
		if entry != "" && entry[0] != '-' {
			return true
		}
	}
	return false
}

// hold returns h with a further event that holds.
func (h holds) hold(at events.Position) holds {
	entries := strings.Fields(string(h))
	entry := at.String()
	switch {
	case slices.Contains(entries, entry) || slices.Contains(entries, "-"+entry):
		return h
	case len(entries) >= maxHolds:
		entry = overflowHold
		if slices.Contains(entries, entry) {
			return h
		}
	}
	return holds(strings.Join(append(entries, entry), " "))
}

// release returns h with an event that holds no longer. The zero position
// dismisses the mark of overflow.
func (h holds) release(at events.Position) holds {
	entries := strings.Fields(string(h))
	entry := at.String()
	if at == (events.Position{}) {
		return holds(strings.Join(slices.DeleteFunc(entries, func(e string) bool { return e == overflowHold }), " "))
	}
	if slices.Contains(entries, "-"+entry) {
		return h
	}
	entries = slices.DeleteFunc(entries, func(e string) bool { return e == entry })
	if len(entries) >= maxHolds {
		return holds(strings.Join(entries, " "))
	}
	return holds(strings.Join(append(entries, "-"+entry), " "))
}
