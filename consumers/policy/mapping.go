package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
)

// Mapping says where an activity stands in the records of a topic. The zero Mapping
// reads records that are activity events of ours.
type Mapping struct {
	subject, time place
}

// place is where one value stands in a record. The zero place is nowhere.
type place struct {
	kind string   // key, header or value
	name string   // of a header
	path []string // of a member of a JSON value
}

// ParseMapping reads two places as the configuration spells them: "key",
// "header:NAME" or "value:path.to.member" of a JSON value. Without a place for the
// time the record's own counts; without one for the subject either, the records
// are activity events.
func ParseMapping(subject, time string) (m Mapping, err error) {
	if m.subject, err = parsePlace(subject); err != nil {
		return Mapping{}, fmt.Errorf("subject: %w", err)
	}
	if m.time, err = parsePlace(time); err != nil {
		return Mapping{}, fmt.Errorf("time: %w", err)
	}
	if m.subject.kind == "" && m.time.kind != "" {
		return Mapping{}, errors.New("time: is mapped, and the subject is not")
	}
	return m, nil
}

func parsePlace(text string) (place, error) {
	kind, name, _ := strings.Cut(text, ":")
	switch {
	case text == "":
		return place{}, nil
	case text == "key":
		return place{kind: kind}, nil
	case kind == "header" && name != "":
		return place{kind: kind, name: name}, nil
	case kind == "value" && name != "":
		return place{kind: kind, path: strings.Split(name, ".")}, nil
	}
	return place{}, fmt.Errorf("%q: want key, header:NAME or value:path.to.member", text)
}

// errNotThere is the cause when a record lacks what is mapped. No error holds
// anything of a record.
var errNotThere = errors.New("not there")

// read returns the activity of a record. Its subject may be a view of the record.
func (m *Mapping) read(r *stream.Record) (cloudevent.Activity, error) {
	if m.subject.kind == "" {
		return cloudevent.DecodeActivity(r)
	}
	var value any
	if m.subject.kind == "value" || m.time.kind == "value" {
		in := json.NewDecoder(strings.NewReader(string(r.Value)))
		in.UseNumber()
		if in.Decode(&value) != nil {
			return cloudevent.Activity{}, errors.New("value is no JSON")
		}
	}
	id, ok := m.subject.find(r, value).(string)
	if !ok {
		return cloudevent.Activity{}, fmt.Errorf("subject: %w", errNotThere)
	}
	subject, err := events.ParseSubject(id)
	if err != nil {
		return cloudevent.Activity{}, err
	}
	at, ok := events.Millis(r.Time), true
	if m.time.kind != "" {
		at, ok = momentOf(m.time.find(r, value))
	}
	if !ok || at <= 0 {
		return cloudevent.Activity{}, fmt.Errorf("time: %w", errNotThere)
	}
	return cloudevent.Activity{Subject: subject, At: at}, nil
}

// find returns what stands at a place: a text, a JSON number, something else, or nil.
func (p *place) find(r *stream.Record, value any) any {
	switch p.kind {
	case "key":
		if r.Key != nil {
			return string(r.Key)
		}
	case "header":
		for rest := r.Headers; rest.Len() > 0; {
			if key, v := rest.Next(); string(key) == p.name {
				return string(v)
			}
		}
	case "value":
		for _, name := range p.path {
			members, _ := value.(map[string]any)
			value = members[name]
		}
		return value
	}
	return nil
}

// momentOf reads RFC 3339, or Unix milliseconds as a number or a text.
func momentOf(v any) (events.Millis, bool) {
	var text string
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = v
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return events.Millis(n), true
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	return events.MillisOf(t), err == nil
}
