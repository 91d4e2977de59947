package schemas_test

import (
	"encoding"
	"path"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/policy"
)

func compileCatalogue(t *testing.T) *jsonschema.Schema {
	schema := compiled(t)[strings.TrimSuffix(catalogue, ".json")]
	require.NotNil(t, schema)
	return schema
}

// TestGoodCataloguesAreAccepted by the schema and by package policy, as written
// and as published.
func TestGoodCataloguesAreAccepted(t *testing.T) {
	schema := compileCatalogue(t)
	for _, name := range glob(t, "examples/catalogues/*.json") {
		t.Run(path.Base(name), func(t *testing.T) {
			text := read(t, name)
			require.NoError(t, schema.Validate(parse(t, text)))
			c, err := policy.Parse(text)
			require.NoError(t, err)
			published, err := c.JSON()
			require.NoError(t, err)
			require.NoError(t, schema.Validate(parse(t, published)))
			again, err := policy.Parse(published)
			require.NoError(t, err)
			require.Equal(t, c.Hash(), again.Hash())
		})
	}
}

// TestBadCataloguesAreRefused by the schema and by package policy, which names a
// member.
func TestBadCataloguesAreRefused(t *testing.T) {
	schema := compileCatalogue(t)
	for _, name := range glob(t, "examples/catalogues/invalid/*.json") {
		t.Run(path.Base(name), func(t *testing.T) {
			text := read(t, name)
			require.Error(t, schema.Validate(parse(t, text)))
			_, err := policy.Parse(text)
			var faults policy.Faults
			require.ErrorAs(t, err, &faults)
			for _, fault := range faults {
				require.NotEmpty(t, fault.Field)
			}
		})
	}
}

// TestCatalogueHasTheMembersOfItsType, mandatory where that says so.
func TestCatalogueHasTheMembersOfItsType(t *testing.T) {
	requireMembers(t, object(parse(t, read(t, catalogue))), reflect.TypeFor[policy.Catalogue]())
}

func requireMembers(t *testing.T, schema map[string]any, of reflect.Type) {
	var names, mandatory []string
	for i := range of.NumField() {
		field := of.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
		if options == "" {
			mandatory = append(mandatory, name)
		}
		member, inner := object(object(schema["properties"])[name]), field.Type
		if inner.Kind() == reflect.Slice {
			member, inner = object(member["items"]), inner.Elem()
		}
		if inner.Kind() == reflect.Struct && !reflect.PointerTo(inner).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
			requireMembers(t, member, inner)
		}
	}
	var described []string
	for name := range object(schema["properties"]) {
		described = append(described, name)
	}
	require.ElementsMatch(t, names, described, of.Name())
	require.ElementsMatch(t, mandatory, texts(schema["required"]), of.Name())
}
