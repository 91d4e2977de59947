// Package publish writes events that a person hands in: from flags, or from a file
// of CloudEvents in JSON. All are held to the schemas and to the codec before any
// is written, and what is wrong is named by event and field.
//
// Schemas are for producers; that is what this is (package schemas).
package publish

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/record"
	"github.com/kelisim/kelisim/schemas"
)

// maxEvents bounds the events of one act, which are all read before the first is
// written: more are the work of a producer, not of a person.
const maxEvents = 10_000

// Draft is one event that was handed in.
type Draft struct {
	Number int          `json:"number"` // from 1, in the order of the input
	Event  record.Event `json:"event"`
	Faults []Fault      `json:"faults,omitempty"`

	message stream.Message
}

// Message returns what a draft without faults would be published as. It has no
// topic.
func (d *Draft) Message() stream.Message { return d.message }

// Fault is what is wrong with one field of an event.
type Fault = schemas.Fault

// Read reads events: one JSON object after the other, or arrays of them (the JSON
// batch format of CloudEvents). It reads to the end.
func Read(in io.Reader) ([]json.RawMessage, error) {
	var all []json.RawMessage
	for d := json.NewDecoder(in); ; {
		var one json.RawMessage
		err := d.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		var batch []json.RawMessage
		if err == nil && bytes.HasPrefix(one, []byte("[")) {
			err = json.Unmarshal(one, &batch)
		} else {
			batch = append(batch, one)
		}
		if err != nil {
			return nil, fmt.Errorf("event %d: no JSON: %w", len(all)+1, masked(err))
		}
		if all = append(all, batch...); len(all) > maxEvents {
			return nil, fmt.Errorf("more than %d events: write them with a producer", maxEvents)
		}
	}
}

// masked drops what an error of package json may quote of the input.
func masked(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("at byte %d", syntax.Offset)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}
	return errors.New("of another type")
}

// Checker holds events to the schemas and the codec.
type Checker struct {
	rules   *events.Rules
	schemas *schemaSet
}

// NewChecker compiles the schemas.
func NewChecker(rules *events.Rules) (*Checker, error) {
	s, err := compile()
	if err != nil {
		return nil, err
	}
	return &Checker{rules, s}, nil
}

// structured is the content type of a CloudEvent in JSON.
const structured = "application/cloudevents+json"

// Check makes a draft of one event in JSON. With faults it cannot be published.
func (c *Checker) Check(number int, text json.RawMessage) Draft {
	d := Draft{Number: number}
	if d.Faults = c.schemas.faults(text); len(d.Faults) > 0 {
		return d
	}
	in := stream.Record{Key: keyOf(text), Value: text, Headers: stream.Headers{}.Append("content-type", []byte(structured))}
	said, e := record.Reader{Rules: c.rules}.Describe(&in)
	said.Position = ""
	d.Event = said
	if said.Fault != "" {
		d.Faults = []Fault{codecFault(c.rules, &in)}
		return d
	}
	ahead := events.MillisOf(time.Now()) + c.rules.Uncertainty()
	if !e.Type.Restricts() && e.Decided > ahead { // every service would park it, and hold the person
		d.Faults = []Fault{{Field: "time", Cause: "is still to come: a permission counts from when it was given"}}
		return d
	}
	var err error
	if d.message, err = (cloudevent.Encoder{Rules: c.rules, Data: schemas.Data}).Encode(&e); err != nil {
		d.Faults = []Fault{{Cause: err.Error()}}
	}
	return d
}

// keyOf is the record key that an event would have, its partition key.
func keyOf(text []byte) []byte {
	var e struct {
		PartitionKey string `json:"partitionkey"`
	}
	_ = json.Unmarshal(text, &e) // the schema has looked at it
	return []byte(e.PartitionKey)
}

// codecFault says what the codec refuses and where.
func codecFault(rules *events.Rules, in *stream.Record) Fault {
	var e events.Event
	err := (cloudevent.Decoder{Rules: rules}).Decode(in, &e)
	var bad *cloudevent.MalformedError
	if errors.As(err, &bad) {
		return Fault{Field: bad.Attribute(), Cause: bad.Reason()}
	}
	return Fault{Cause: fmt.Sprint(err)}
}
