package publish

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/schemas"
)

// schemaSet is the schema of each type of event.
type schemaSet struct{ byType map[string]*jsonschema.Schema }

// compile reads the embedded schemas.
func compile() (*schemaSet, error) {
	all, err := schemas.Compiled()
	if err != nil {
		return nil, err
	}
	s := &schemaSet{make(map[string]*jsonschema.Schema)}
	for _, t := range events.Types() {
		if t == events.PolicyPublished {
			continue // "policy publish" is for that
		}
		s.byType[t.String()] = all[strings.TrimPrefix(t.String(), "io.kelisim.")]
	}
	return s, nil
}

// faults names every field that is not as the schema of the event's type wants it.
// It quotes no value: it may be the very personal data that is refused.
func (s *schemaSet) faults(text []byte) []Fault {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	event, ok := v.(map[string]any)
	if err != nil || !ok {
		return []Fault{{Cause: "no JSON object"}}
	}
	name, _ := event["type"].(string)
	schema := s.byType[name]
	if schema == nil {
		return []Fault{{"type", "missing, or none that can be published"}}
	}
	err = schema.Validate(v)
	var bad *jsonschema.ValidationError
	if !errors.As(err, &bad) {
		return nil
	}
	var all []Fault
	leaves(bad, &all)
	slices.SortFunc(all, func(a, b Fault) int { return strings.Compare(a.Field+a.Cause, b.Field+b.Cause) })
	return slices.Compact(all)
}

// leaves collects what is wrong at the bottom of the tree of causes.
func leaves(e *jsonschema.ValidationError, all *[]Fault) {
	for _, cause := range e.Causes {
		leaves(cause, all)
	}
	if len(e.Causes) > 0 {
		return
	}
	at := strings.Join(e.InstanceLocation, ".")
	field := func(name string) string { return strings.TrimPrefix(at+"."+name, ".") }
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			*all = append(*all, Fault{field(name), "missing"})
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			*all = append(*all, Fault{field(name), "unknown"})
		}
	case *kind.FalseSchema:
		*all = append(*all, Fault{at, "must not be there"})
	default:
		*all = append(*all, Fault{at, "not as the schema wants it: " + strings.Join(e.ErrorKind.KeywordPath(), ".")})
	}
}
