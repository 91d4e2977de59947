package cloudevent

import (
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

// Decoder reads events from records. It is safe for concurrent use; the zero
// Decoder knows no purpose.
type Decoder struct {
	// Rules names the purposes. An event that names another is refused.
	Rules *events.Rules
}

// Decode reads the event of a record of consent.events.v1 into e: all but
// e.Logged, which is left as it is. In binary mode the texts and the data of e
// are views of the record and live no longer. Every error is a [MalformedError],
// for which errors.Is(err, [ErrMalformed]) holds, and leaves e half written; but
// e.Subject is then whom the record names as its subject, whatever its key, and zero
// where it names nobody: the person whom in doubt nothing may be done to.
func (d Decoder) Decode(record *recordbatch.Record, e *events.Event) error {
	return d.decode(record, e, false)
}

// DecodePolicy does the same for a record of consent.policies.v1: an event of
// type [events.PolicyPublished], which has no subject. Its key is the policy
// version.
func (d Decoder) DecodePolicy(record *recordbatch.Record, e *events.Event) error {
	return d.decode(record, e, true)
}

func (d Decoder) decode(record *recordbatch.Record, e *events.Event, policies bool) error {
	var a attributes
	err := d.decodeInto(&a, record, e, policies)
	if err != nil {
		e.Subject, _ = events.ParseSubject(a.text[subject]) // the zero Subject is nobody
	}
	return err
}

func (d Decoder) decodeInto(a *attributes, record *recordbatch.Record, e *events.Event, policies bool) error {
	if record.Value == nil {
		_ = a.readBinary(record.Headers) // whom it names; whatever is wrong with them, it is no event
		return refuse(NullValue, "")
	}
	data, err := a.read(record)
	if err != nil {
		return err
	}
	if err := d.fill(e, a, data); err != nil {
		return err
	}
	if policies != (e.Type == events.PolicyPublished) {
		return refuse(OtherTopic, "type")
	}
	if string(record.Key) != a.text[partitionKey] {
		return refuse(KeyMismatch, "partitionkey")
	}
	return nil
}

// read is the first layer: the attributes and the data of a valid CloudEvent.
func (a *attributes) read(record *recordbatch.Record) (data []byte, err error) {
	if err = a.readBinary(record.Headers); err == nil && !isStructured(a.text[dataContentType]) {
		return record.Value, a.validate()
	}
	// In structured mode broken headers do not matter: look for the mode first.
	if contentType, once := contentTypeOf(record.Headers); once && isStructured(contentType) {
		return a.readStructured(contentType, record.Value)
	}
	return nil, err
}

// fill is the second layer: what Kelisim makes of them.
func (d Decoder) fill(e *events.Event, a *attributes, data []byte) (err error) {
	if e.Type = events.ParseType(a.text[eventType]); e.Type == 0 {
		return refuse(UnknownType, "type")
	}
	if err := a.check(e.Type); err != nil {
		return err
	}
	e.ID, e.Source = a.text[id], a.text[source]
	if e.Data, err = object(a.text[dataContentType], data); err != nil {
		return err
	}
	if e.Decided, err = a.decided(); err != nil {
		return err
	}
	if e.Type.OfLog() {
		return a.ofLog(e)
	}
	if e.Policy, err = a.policy(); err != nil {
		return err
	}
	if e.Subject, err = a.subject(string(e.Policy)); err != nil {
		return err
	}
	if e.Purposes, err = a.purposes(d.Rules); err != nil {
		return err
	}
	e.Method = events.ParseMethod(a.text[method]) // one that is not known permits nothing
	if e.Evidence, err = a.proof(e.Type); err != nil {
		return err
	}
	if e.Request, err = a.request(); err != nil {
		return err
	}
	if e.Ground, e.Reference, err = a.why(); err != nil {
		return err
	}
	if e.ReviewBy, err = a.review(); err != nil {
		return err
	}
	e.First, err = a.first()
	return err
}
