package synthetic

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/schemas"
)

// What is made up can be published: the codec writes it and the closed schema of
// its type accepts it.
func TestEventsKeepTheContract(t *testing.T) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	files, err := fs.Glob(schemas.FS(), "*.json")
	require.NoError(t, err)
	for _, name := range files {
		text, err := fs.ReadFile(schemas.FS(), name)
		require.NoError(t, err)
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		require.NoError(t, err)
		require.NoError(t, compiler.AddResource(schemas.Base+name, doc))
	}
	rules := events.SeedRules()
	encoder := cloudevent.Encoder{Rules: rules, Data: schemas.Data}
	g := newGenerator(t, Config{Seed: 11, Subjects: 50})
	seen := make(map[events.Type]bool)
	for range 5000 {
		e := g.Next(start)
		m, err := encoder.Encode(&e)
		require.NoError(t, err)
		event := make(map[string]any)
		for _, h := range m.Headers {
			name := strings.TrimPrefix(h.Key, "ce_")
			if h.Key == "content-type" {
				name = "datacontenttype"
			}
			event[name] = string(h.Value)
		}
		var data any
		require.NoError(t, json.Unmarshal(m.Value, &data))
		event["data"] = data
		schema, err := compiler.Compile(schemas.Base + strings.TrimPrefix(e.Type.String(), "io.kelisim.") + ".json")
		require.NoError(t, err)
		require.NoError(t, schema.Validate(event), e.Type.String())
		seen[e.Type] = true
	}
	require.Len(t, seen, len(DefaultMix()), "every type was made up")
}
