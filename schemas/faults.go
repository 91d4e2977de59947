package schemas

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Fault is what is wrong with one member of a document. It holds no value: that may be
// the very personal data that is refused.
type Fault struct {
	Field string `json:"field"` // names from the top down, a dot between each two; empty: the whole
	Cause string `json:"cause"`
}

// String says it in a line.
func (f Fault) String() string {
	if f.Field == "" {
		return f.Cause
	}
	return f.Field + ": " + f.Cause
}

// Faults returns all that a schema has against a document, by field, each once.
func Faults(schema *jsonschema.Schema, document any) (all []Fault) {
	err := schema.Validate(document)
	if err == nil {
		return nil
	}
	var bad *jsonschema.ValidationError
	if !errors.As(err, &bad) {
		return []Fault{{"", "cannot be judged"}}
	}
	collect(bad, &all)
	slices.SortFunc(all, func(a, b Fault) int { return strings.Compare(a.Field+a.Cause, b.Field+b.Cause) })
	return slices.Compact(all)
}

// collect gathers what is wrong at the bottom of the tree of causes.
func collect(e *jsonschema.ValidationError, all *[]Fault) {
	for _, cause := range e.Causes {
		collect(cause, all)
	}
	if len(e.Causes) > 0 {
		return
	}
	at := func(more ...string) string { return dotted(slices.Concat(e.InstanceLocation, more)) }
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			*all = append(*all, Fault{at(name), "missing"})
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			*all = append(*all, Fault{at(name), "unknown"})
		}
	case *kind.FalseSchema:
		*all = append(*all, Fault{at(), "must not be there"})
	default:
		*all = append(*all, Fault{at(), "not as the schema wants it: " + strings.Join(e.ErrorKind.KeywordPath(), ".")})
	}
}

// plainName is how the name of a member looks. Anything else could be a person's, and is
// not shown.
var plainName = regexp.MustCompile(`^([A-Za-z][A-Za-z_]{0,31}|[0-9]{1,3})$`)

func dotted(path []string) string {
	shown := make([]string, len(path))
	for i, name := range path {
		if shown[i] = name; !plainName.MatchString(name) {
			shown[i] = "?"
		}
	}
	return strings.Join(shown, ".")
}
