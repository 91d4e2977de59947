package cloudevent

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cekafka"
	"github.com/kelisim/kelisim/schemas"
)

// admit holds data to the schema of its type, which is closed: what a producer says
// beyond it, a telephone number perhaps, would stand in the log for ten years. The
// attributes need no schema: what is written is read back.
//
// It costs about twice as much as the rest of the encoding (BenchmarkEncode), and what is
// published is never in such a hurry as what is read.
func admit(t events.Type, data []byte) error {
	all, err := schemas.CompiledData()
	if err != nil {
		return fmt.Errorf("schemas do not compile: %w", err)
	}
	schema := all.ForType(t.String())
	var document any
	switch {
	case schema == nil:
		return refuse(UnknownType, "type")
	case !utf8.Valid(data):
		return refuse(cekafka.BadUTF8, "data")
	case json.Unmarshal(data, &document) != nil:
		return refuse(cekafka.JSON, "data")
	case membersOf(document) != colons(data):
		return refuse(cekafka.DuplicateAttribute, "data")
	}
	var bad *jsonschema.ValidationError
	if errors.As(schema.Validate(document), &bad) {
		var at []string
		faulty(bad, &at)
		slices.Sort(at)
		return refuse(DataOutsideSchema, strings.Join(slices.Compact(at), ", "))
	}
	return nil
}

// membersOf counts the members of all objects of a document. A parser keeps the last
// of two with one name, and a schema sees what the parser kept.
func membersOf(v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		n = len(v)
		for _, inner := range v {
			n += membersOf(inner)
		}
	case []any:
		for _, inner := range v {
			n += membersOf(inner)
		}
	}
	return n
}

// colons counts those of a JSON text that stand outside of strings: as many as there
// are members.
func colons(text []byte) (n int) {
	inside := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case c == ':' && !inside:
			n++
		}
	}
	return n
}

// faulty collects the members at fault, from the bottom of the tree of causes.
func faulty(e *jsonschema.ValidationError, at *[]string) {
	for _, cause := range e.Causes {
		faulty(cause, at)
	}
	if len(e.Causes) > 0 {
		return
	}
	path := append([]string{"data"}, e.InstanceLocation...)
	names := []string(nil)
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		names = k.Missing
	case *kind.AdditionalProperties:
		names = k.Properties
	default:
		*at = append(*at, dotted(path))
	}
	for _, name := range names {
		*at = append(*at, dotted(append(slices.Clone(path), name)))
	}
}

// plainName is how the name of a member looks. Anything else could be a person's, and is
// not shown.
var plainName = regexp.MustCompile(`^([A-Za-z][A-Za-z_]{0,31}|[0-9]{1,3})$`)

func dotted(path []string) string {
	for i, name := range path {
		if !plainName.MatchString(name) {
			path[i] = "?"
		}
	}
	return strings.Join(path, ".")
}
