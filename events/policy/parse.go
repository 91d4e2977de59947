package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/kelisim/kelisim/events"
)

// Parse reads a catalogue from YAML, or from JSON, which is YAML too. It is
// strict: the error is [Faults] and names every member that is unknown, missing
// or not as schemas/policy-catalogue.v1.json wants it. What only the versions
// before can tell is left to [Lint].
func Parse(text []byte) (*Catalogue, error) {
	var tree, more any
	in := yaml.NewDecoder(bytes.NewReader(text))
	if err := in.Decode(&tree); err != nil {
		return nil, Faults{{Cause: fmt.Errorf("no YAML: %w", err)}}
	}
	if err := in.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, Faults{{Cause: errors.New("something follows the catalogue")}}
	}
	asJSON, err := json.Marshal(daysAsText(tree))
	if err != nil {
		return nil, Faults{{Cause: fmt.Errorf("a key is no text: %w", err)}}
	}
	return read(asJSON, true)
}

// daysAsText undoes that YAML takes 2026-11-01 without quotes for a moment.
func daysAsText(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = daysAsText(v[name])
		}
	case []any:
		for i := range v {
			v[i] = daysAsText(v[i])
		}
	case time.Time:
		if v.Equal(v.Truncate(24 * time.Hour)) {
			return v.Format(time.DateOnly)
		}
	}
	return v
}

// read makes a catalogue of JSON: members, then defaults, then what they mean.
func read(text []byte, strict bool) (*Catalogue, error) {
	c := new(Catalogue)
	r := reader{strict: strict}
	r.object(text, reflect.ValueOf(c).Elem(), "")
	if len(r.Faults) == 0 {
		c.complete()
		r.Faults = c.check()
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// complete fills the defaults in and brings what is a set into order.
func (c *Catalogue) complete() {
	if c.EffectiveOn.IsZero() {
		c.EffectiveOn = c.PublishedOn // clause 1.5
	}
	if c.Retention.IsZero() {
		c.Retention = DefaultRetention
	}
	slices.SortFunc(c.Texts, func(a, b Text) int { return strings.Compare(a.Locale, b.Locale) })
	slices.SortStableFunc(c.Purposes, func(a, b Purpose) int { return int(a.Code) - int(b.Code) })
	for i := range c.Purposes {
		p := &c.Purposes[i]
		if p.Retention.IsZero() {
			p.Retention = c.Retention
		}
		if p.CoveredFrom == "" {
			p.CoveredFrom = c.Version
		}
		for _, set := range p.sets() {
			slices.Sort(*set.items)
		}
		if len(p.Services) == 0 {
			p.Services = nil // none and not given are the same
		}
	}
}

// Event returns the publication of the catalogue: source says who publishes it,
// at is the moment of it. Its id is the hash, so that publishing the same again
// makes a copy and not another event.
func (c *Catalogue) Event(source string, at time.Time) (events.Event, error) {
	data, err := c.JSON()
	if err != nil {
		return events.Event{}, err
	}
	return events.Event{
		ID: c.Hash(), Source: source, Type: events.PolicyPublished,
		Decided: events.MillisOf(at), Policy: c.Version, Data: data,
	}, nil
}

// FromEvent returns the catalogue that an event publishes. Members that it does
// not know are ignored, so that a publisher can be a version ahead; everything
// else is held to what [Parse] asks.
func FromEvent(e *events.Event) (*Catalogue, error) {
	if e.Type != events.PolicyPublished {
		return nil, fmt.Errorf("catalogue: %s publishes none", e.Type)
	}
	c, err := read(e.Data, false)
	if err == nil && c.Version != e.Policy {
		err = errors.New("version: another than the event's policyversion")
	}
	if err != nil {
		return nil, fmt.Errorf("catalogue of version %s: %w", e.Policy, err)
	}
	return c, nil
}
