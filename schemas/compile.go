package schemas

import (
	"bytes"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Set is compiled schemas by the name of their file, without its ending:
// "consent.granted.v1", which is the CloudEvents type without "io.kelisim.".
type Set map[string]*jsonschema.Schema

// ForType returns the schema of the event type with the given CloudEvents name, or nil.
func (s Set) ForType(eventType string) *jsonschema.Schema {
	name, ours := strings.CutPrefix(eventType, typePrefix)
	if !ours {
		return nil
	}
	return s[name]
}

// Compiled returns every schema of an event, compiled once. Formats are asserted. An
// error names the schema. The set is shared and never written.
var Compiled = sync.OnceValues(func() (Set, error) { return compile("") })

// catalogueFile describes no event, but the data of one.
const catalogueFile = "policy-catalogue.v1.json"

// CompiledData does the same with what the schemas say of data alone, for whoever
// holds the attributes to the contract by other means. The catalogue, which is the data
// of an event itself, is not among them.
var CompiledData = sync.OnceValues(func() (Set, error) { return compile("#/properties/data") })

// Data holds the data of an event, parsed, to the schema of its type: what cloudevent's
// encoder asks. It names the members that the schema is against. A type without a
// schema of its own is an error.
func Data(eventType string, data any) (members []string, err error) {
	all, err := CompiledData()
	if err != nil {
		return nil, err
	}
	schema := all.ForType(eventType)
	if schema == nil {
		return nil, fmt.Errorf("type %s: has no schema", eventType)
	}
	for _, f := range Faults(schema, data) {
		members = append(members, f.Field)
	}
	slices.Sort(members)
	return slices.Compact(members), nil
}

// compile compiles the same part of every schema, a JSON pointer.
func compile(part string) (Set, error) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err == nil {
			err = compiler.AddResource(Base+name, document)
		}
		if err != nil {
			return nil, fmt.Errorf("schema %s: %w", name, err)
		}
	}
	set := make(Set)
	for _, name := range names {
		if part != "" && name == catalogueFile {
			continue
		}
		schema, err := compiler.Compile(Base + name + part)
		if err != nil {
			return nil, fmt.Errorf("schema %s: %w", name, err)
		}
		set[strings.TrimSuffix(name, ".json")] = schema
	}
	return set, nil
}
