package cloudevent

import (
	"fmt"
	"unicode/utf8"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cekafka"
	"github.com/kelisim/kelisim/events/stream"
)

// Encoder writes events as records. It is safe for concurrent use; the zero
// Encoder knows no purpose, and encodes nothing.
type Encoder struct {
	// Rules names the purposes.
	Rules *events.Rules
	// Data says what data may be, so that nothing is published that should not be
	// said. Without a contract nothing is encoded.
	Data Contract
	// AnyData is said by who held the data to its contract already, or writes what
	// others wrote: nobody looks into it then.
	AnyData bool
}

// Encode returns the message of an event, in binary mode: key, headers and
// data, which is held to the contract, taken over and not copied. The topic is left to
// the caller, the partition to the key. Where the event was logged is not written;
// where it was first is. An event that [Decoder] would refuse, or read back as another,
// is refused here, with the same errors.
func (n Encoder) Encode(e *events.Event) (stream.Message, error) {
	w := headerWriter{text: make([]byte, 0, attributesUsually)}
	w.add(specVersion, "1.0")
	w.add(id, e.ID)
	w.add(source, e.Source)
	w.add(eventType, e.Type.String())
	w.add(dataContentType, "application/json")
	w.addTime(eventTime, e.Decided)
	key := e.Subject.Reveal()
	switch {
	case e.Type == events.LogBarrier:
		key = BarrierKey
	case e.Subject.IsZero():
		key = string(e.Policy)
	default:
		w.add(subject, key)
	}
	w.add(partitionKey, key)
	n.addOptional(&w, e)
	m := stream.Message{Partition: stream.AnyPartition, Key: []byte(key), Value: e.Data, Headers: w.headers()}
	if err := n.readsBack(&w, e); err != nil {
		return stream.Message{}, fmt.Errorf("encode %s: %w", e.Type, err)
	}
	return m, nil
}

func (n Encoder) addOptional(w *headerWriter, e *events.Event) {
	if e.Purposes != 0 {
		w.begin(purposes)
		for i, name := range n.names(e.Purposes) {
			if i > 0 {
				w.text = append(w.text, ',')
			}
			w.text = append(w.text, name...)
		}
	}
	if e.Policy != "" {
		w.add(policyVersion, string(e.Policy))
	}
	if e.Method != 0 {
		w.add(method, e.Method.String())
	}
	if e.Evidence != "" {
		w.add(evidence, e.Evidence)
	}
	if !e.Request.IsZero() {
		w.add(requestSource, e.Request.Source)
		w.add(requestID, e.Request.ID)
	}
	if e.Ground != 0 {
		w.add(ground, e.Ground.String())
	}
	if e.Reference != "" {
		w.add(reference, e.Reference)
	}
	if e.ReviewBy != 0 {
		w.addTime(reviewBy, e.ReviewBy)
	}
	if !e.First.IsZero() {
		w.add(firstPosition, e.First.Position.String())
		w.addTime(firstTime, e.First.Appended)
	}
}

func (n Encoder) names(set events.PurposeSet) []events.Purpose {
	if n.Rules == nil {
		return nil
	}
	return n.Rules.Names(set)
}

// readsBack decodes what was written, so that nothing is published that nobody
// can read, and nothing that reads as another event: the id and the source of a
// CloudEvent are trimmed and normalised, and a purpose may have no name.
func (n Encoder) readsBack(w *headerWriter, e *events.Event) error {
	var a attributes
	for _, h := range w.entries {
		a.set(h.slot, view(w.text[h.from:h.to]))
	}
	if err := a.validate(); err != nil {
		return err
	}
	var back events.Event
	if err := (Decoder{Rules: n.Rules}).fill(&back, &a, e.Data); err != nil {
		return err
	}
	switch {
	case back.ID != e.ID || !utf8.ValidString(e.ID):
		return refuse(cekafka.BadValue, "id")
	case back.Source != e.Source || !utf8.ValidString(e.Source):
		return refuse(cekafka.BadValue, "source")
	case back.Method != e.Method:
		return refuse(cekafka.BadValue, "method")
	case back.Evidence != e.Evidence:
		return refuse(cekafka.BadValue, "evidence")
	case back.Ground != e.Ground || back.Reference != e.Reference:
		return refuse(cekafka.BadValue, "reference")
	case back.Purposes != e.Purposes:
		return refuse(UnknownPurpose, "purposes")
	}
	for _, s := range [...]slot{evidence, requestSource, requestID, reference} {
		if !utf8.ValidString(a.text[s]) {
			return refuse(cekafka.BadUTF8, s.String())
		}
	}
	return n.admit(e.Type, e.Data)
}
