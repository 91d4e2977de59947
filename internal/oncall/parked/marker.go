package parked

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
)

// headerMarker tells a marker from a parked copy.
const headerMarker = "kelisim_marker"

// Deed is what was done about a case.
type Deed string

// The deeds.
const (
	Redriven  Deed = "redriven"
	Dismissed Deed = "dismissed"
)

// Marker is the record of a deed, in the parked topic. It holds nothing of the
// event but its positions.
type Marker struct {
	Deed     Deed      `json:"deed"`
	First    string    `json:"first"`             // names the case
	At       string    `json:"at,omitempty"`      // where the event stands now, if it was redriven
	Attempt  int       `json:"attempt,omitempty"` // how many times it was
	Operator string    `json:"operator"`
	Reason   string    `json:"reason"`
	Time     time.Time `json:"time"`

	Correction *Correction `json:"correction,omitempty"` // the bytes were others than the parked ones

	at events.Position
}

// message writes the marker into the partition of the copies, under their key.
func (m Marker) message(topic string, partition int32, key []byte) (stream.Message, error) {
	value, err := json.Marshal(m)
	if err != nil {
		return stream.Message{}, fmt.Errorf("marker of %s: %w", m.First, err)
	}
	return stream.Message{
		Topic: topic, Partition: partition, Key: key, Value: value,
		Headers: []stream.Header{
			{Key: headerMarker, Value: []byte(m.Deed)},
			{Key: "content-type", Value: []byte("application/json")},
		},
	}, nil
}

// isMarker says whether a record of the parked topic is a marker: no copy begins
// with that header, since a copy ends with ours and these are all that a marker has.
func isMarker(r *stream.Record) bool {
	headers := r.Headers
	if headers.Len() != 2 {
		return false
	}
	name, _ := headers.Next()
	return string(name) == headerMarker
}

// parseMarker reads a marker.
func parseMarker(r *stream.Record) (m Marker, first events.Position, err error) {
	fault := func(err error) (Marker, events.Position, error) {
		return Marker{}, events.Position{}, fmt.Errorf("marker at %d@%d: %w", r.Partition, r.Offset, err)
	}
	if err := json.Unmarshal(r.Value, &m); err != nil {
		return fault(err)
	}
	if first, err = events.ParsePosition(m.First); err != nil {
		return fault(err)
	}
	if m.Deed == Redriven {
		if m.at, err = events.ParsePosition(m.At); err != nil {
			return fault(err)
		}
	}
	return m, first, nil
}
