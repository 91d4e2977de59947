// Package contract compiles the embedded schemas, for the commands that hold
// events to them. It judges nothing itself.
package contract

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/kelisim/kelisim/schemas"
)

// Schemas are the schemas by the name of their file, without its ending:
// "consent.granted.v1", which is the CloudEvents type without "io.kelisim.".
type Schemas map[string]*jsonschema.Schema

// Compile compiles every embedded schema. Formats are asserted. An error names
// the schema.
func Compile() (Schemas, error) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	names, err := fs.Glob(schemas.FS(), "*.json")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(schemas.FS(), name)
		if err != nil {
			return nil, err
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err == nil {
			err = compiler.AddResource(schemas.Base+name, document)
		}
		if err != nil {
			return nil, fmt.Errorf("schema %s: %w", name, err)
		}
	}
	set := make(Schemas)
	for _, name := range names {
		schema, err := compiler.Compile(schemas.Base + name)
		if err != nil {
			return nil, fmt.Errorf("schema %s: %w", name, err)
		}
		set[strings.TrimSuffix(name, ".json")] = schema
	}
	return set, nil
}
