package policy

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a catalogue.
type Fault struct {
	Field string // path in the file: "purposes[contests].labels.ru"; empty for all of it
	Cause error
}

// Error names the field and the cause.
func (f Fault) Error() string {
	if f.Field == "" {
		return f.Cause.Error()
	}
	return f.Field + ": " + f.Cause.Error()
}

// Unwrap returns the cause.
func (f Fault) Unwrap() error { return f.Cause }

// Faults is everything that is wrong with a catalogue.
type Faults []Fault

// Error has a line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].Error()
	}
	return strings.Join(lines, "\n")
}

// err returns the faults as an error, nil when there are none.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

func (f *Faults) add(field, format string, args ...any) {
	*f = append(*f, Fault{field, fmt.Errorf(format, args...)})
}

var errMissing = errors.New("missing")

// reader reads JSON into structs and says of every member that is not as it
// should be where it stands, all at once. Names are taken exactly.
type reader struct {
	strict bool // a member that is not known is a fault
	Faults
}

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

func (r *reader) value(text json.RawMessage, into reflect.Value, at string) {
	kind := into.Kind()
	switch {
	case string(text) == "null":
		r.Faults = append(r.Faults, Fault{at, errMissing})
	case into.Addr().Type().Implements(textUnmarshaler):
		r.leaf(text, into, at)
	case kind == reflect.Struct:
		r.object(text, into, at)
	case kind == reflect.Slice:
		r.list(text, into, at)
	default:
		r.leaf(text, into, at)
	}
}

// object reads a struct. A field whose tag has no omitzero has to be there.
func (r *reader) object(text json.RawMessage, into reflect.Value, at string) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		r.add(at, "want members with names")
		return
	}
	if at != "" {
		at += "."
	}
	for i := range into.NumField() {
		name, options, _ := strings.Cut(into.Type().Field(i).Tag.Get("json"), ",")
		member, given := members[name]
		delete(members, name)
		switch {
		case given:
			r.value(member, into.Field(i), at+name)
		case options == "":
			r.Faults = append(r.Faults, Fault{at + name, errMissing})
		}
	}
	if r.strict {
		for _, name := range slices.Sorted(maps.Keys(members)) {
			r.add(at+name, "is unknown")
		}
	}
}

// list reads the items one by one, and calls those that have a name by it.
func (r *reader) list(text json.RawMessage, into reflect.Value, at string) {
	var items []json.RawMessage
	if err := json.Unmarshal(text, &items); err != nil {
		r.add(at, "want a list")
		return
	}
	all := reflect.MakeSlice(into.Type(), len(items), len(items))
	for i, item := range items {
		r.value(item, all.Index(i), fmt.Sprintf("%s[%s]", at, nameOf(item, i)))
	}
	into.Set(all)
}

func nameOf(item json.RawMessage, i int) string {
	var named struct {
		Name string `json:"name"`
	}
	if json.Unmarshal(item, &named) != nil || named.Name == "" {
		return fmt.Sprint(i)
	}
	return named.Name
}

func (r *reader) leaf(text json.RawMessage, into reflect.Value, at string) {
	err := json.Unmarshal(text, into.Addr().Interface())
	var other *json.UnmarshalTypeError
	if errors.As(err, &other) {
		err = fmt.Errorf("want a %s, not a %s", other.Type.Kind(), other.Value)
	}
	if err != nil {
		r.Faults = append(r.Faults, Fault{at, err})
	}
}
