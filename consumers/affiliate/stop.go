package affiliate

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events"
)

// Stop is what a partner must be told: under these pseudonyms, for these
// purposes, no more. It names no subject, and carries all that its delivery
// needs. The zero Stop stops nothing.
type Stop struct {
	Partner string
	// Pseudonyms are those of one subject under every key in use, the current
	// first: the partner may know it by any of them.
	Pseudonyms []Pseudonym
	// Purposes are all that are stopped for the partner as of DecidedBy, not only
	// the newest.
	Purposes []events.Purpose
	// DecidedBy is the event that decided. It identifies the stop among those of
	// the partner. It is ours and not for the partner: two of them could join
	// what they know by it.
	DecidedBy events.Position
	Enqueued  time.Time

	slot consumers.Slot // whose queue it came from
}

// stored is the form of a stop in Redis.
type stored struct {
	Partner    string           `json:"partner"`
	Pseudonyms []string         `json:"pseudonyms"`
	Purposes   []events.Purpose `json:"purposes"`
	DecidedBy  string           `json:"decidedBy"`
	Enqueued   time.Time        `json:"enqueued"`
}

func (s *Stop) encode() (string, error) {
	out := stored{
		Partner: s.Partner, Purposes: s.Purposes, DecidedBy: s.DecidedBy.String(),
		Enqueued: s.Enqueued.UTC().Truncate(time.Millisecond),
	}
	for _, p := range s.Pseudonyms {
		out.Pseudonyms = append(out.Pseudonyms, string(p))
	}
	text, err := json.Marshal(out)
	return string(text), err
}

func decodeStop(text string) (Stop, error) {
	var in stored
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return Stop{}, fmt.Errorf("stop of %d bytes is not readable", len(text)) // the cause could quote it
	}
	position, err := events.ParsePosition(in.DecidedBy)
	if err != nil {
		return Stop{}, err
	}
	s := Stop{Partner: in.Partner, Purposes: in.Purposes, DecidedBy: position, Enqueued: in.Enqueued}
	for _, p := range in.Pseudonyms {
		s.Pseudonyms = append(s.Pseudonyms, Pseudonym(p))
	}
	return s, nil
}
