package schemas

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Set is compiled schemas by the name of their file, without its ending:
// "consent.granted.v1", which is the CloudEvents type without "io.kelisim.".
type Set map[string]*jsonschema.Schema

// ForType returns the schema of the event type with the given CloudEvents name, or nil
// when there is none.
func (s Set) ForType(name string) *jsonschema.Schema {
	short, ours := strings.CutPrefix(name, typePrefix)
	if !ours {
		return nil
	}
	return s[short]
}

// Compiled returns every schema, compiled once. Formats are asserted. An
// error names the schema. The set is shared and never written.
var Compiled = sync.OnceValues(func() (Set, error) { return compile("") })

// catalogueFile describes no event, but the data of one.
const catalogueFile = "policy-catalogue.v1.json"

// CompiledData does the same with what the schemas say of data alone, for whoever
// holds the attributes to the contract by other means. The catalogue, which is the data
// of an event itself, is not among them.
var CompiledData = sync.OnceValues(func() (Set, error) { return compile("#/properties/data") })

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
