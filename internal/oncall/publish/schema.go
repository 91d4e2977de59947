package publish

import (
	"bytes"

	"github.com/santhosh-tekuri/jsonschema/v6"

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
		s.byType[t.String()] = all.ForType(t.String())
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
		return []Fault{{Field: "type", Cause: "missing, or none that can be published"}}
	}
	return schemas.Faults(schema, v)
}
