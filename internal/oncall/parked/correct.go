package parked

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// Correction says what stands in the place of what, by the hashes of the records:
// SHA-256, in hex, of key, headers and value. The zero Correction is none.
type Correction struct {
	Was     string `json:"was"`
	Is      string `json:"is"`
	Permits bool   `json:"permits"` // it may allow something: not one person's to write
}

// PlanCorrected says what redriving one case with corrected bytes would do. It
// keeps the first place in the order, and is refused where it is another event:
// one of another subject, id, source or type, or where the parked one does not say
// what it is. A correction is redriven as any other case then.
func (d *Desk) PlanCorrected(ctx context.Context, c *Case, with stream.Message, reason string, force bool) (*Redrive, error) {
	return d.planRedrive(ctx, []*Case{c}, reason, force, func(it *Item) error {
		if !it.o.subject().IsZero() && string(with.Key) != string(it.o.key) {
			return exit.Refuse("the correction is of another subject")
		}
		better := it.o.corrected(&with)
		var e events.Event
		if err := d.Decoder.Decode(better.record(), &e); err != nil {
			return exit.Refuse("the correction would be parked as well: %s", reasonOf(err))
		}
		if err := it.o.sameAs(&e); err != nil {
			return err
		}
		it.Correction = &Correction{Was: it.o.hash(), Is: better.hash(), Permits: !e.Type.Restricts()}
		it.o = better
		return nil
	})
}

// corrected puts attributes and value of a message in the place of the event's own.
// Headers that are no attributes stay; where it first stood nobody corrects.
func (o *original) corrected(with *stream.Message) original {
	out := original{key: o.key, value: with.Value, logAppend: o.logAppend}
	attribute := func(h stream.Header) bool { return strings.HasPrefix(h.Key, "ce_") || h.Key == "content-type" }
	for _, h := range with.Headers {
		if h.Key != headerFirstPosition && h.Key != headerFirstTime {
			out.headers = append(out.headers, h)
		}
	}
	for _, h := range o.headers {
		if !attribute(h) {
			out.headers = append(out.headers, h)
		}
	}
	return out
}

// sameAs refuses an event that is not the original in better words. Nothing that it
// says holds a value: what is wrong with an event may be what must not be shown.
func (o *original) sameAs(e *events.Event) error {
	id, source, kind := o.header("ce_id"), o.header("ce_source"), o.header("ce_type")
	if o.isStructured() {
		var said struct{ ID, Source, Type string }
		_ = json.Unmarshal(o.value, &said) // what cannot be read says nothing
		id, source, kind = said.ID, said.Source, said.Type
	}
	const anew = "publish it as a new event, and dismiss this one"
	switch {
	case o.subject().IsZero():
		return exit.Refuse("the parked event is of nobody: %s", anew)
	case id == "" || source == "":
		return exit.Refuse("the parked event does not say its id and source: %s", anew)
	case e.ID != strings.TrimSpace(id):
		return exit.Refuse("the correction has another id")
	case e.Source != strings.TrimSpace(source):
		return exit.Refuse("the correction has another source")
	case events.ParseType(kind) != 0 && events.ParseType(kind) != e.Type:
		return exit.Refuse("the correction is of another type")
	}
	return nil
}

// hash names the whole record.
func (o *original) hash() string {
	sum := sha256.New()
	add := func(text []byte) { // a hash never fails
		sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
		sum.Write(text)
	}
	add(o.key)
	for _, h := range o.headers {
		add([]byte(h.Key))
		add(h.Value)
	}
	add(o.value)
	return hex.EncodeToString(sum.Sum(nil))
}

// Corrections returns what was corrected in the plan.
func (r *Redrive) Corrections() (all []*Correction) {
	for i := range r.Items {
		if c := r.Items[i].Correction; c != nil {
			all = append(all, c)
		}
	}
	return all
}

// Permit refuses corrections that may allow something, unless two people say so: a
// producer writes what a person consented to, and nobody alone in its place.
func (r *Redrive) Permit(by Permit) error {
	if !slices.ContainsFunc(r.Corrections(), func(c *Correction) bool { return c.Permits }) {
		return nil
	}
	return by.allows("the correction may allow something")
}
