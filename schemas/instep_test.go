package schemas_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/schemas"
)

const (
	envelope  = "envelope.v1.json"
	catalogue = "policy-catalogue.v1.json" // the data of a published policy
	activity  = "activity.v1.json"         // no decision, so no type of package events
)

// standard is the attributes of CloudEvents itself, and data.
var standard = []string{"specversion", "id", "source", "type", "time", "datacontenttype", "dataschema", "subject", "data"}

func object(v any) map[string]any { m, _ := v.(map[string]any); return m }

func texts(v any) (list []string) {
	all, _ := v.([]any)
	for _, item := range all {
		list = append(list, item.(string))
	}
	return list
}

// TestEveryTypeHasASchemaAndEverySchemaAType.
func TestEveryTypeHasASchemaAndEverySchemaAType(t *testing.T) {
	names := []string{envelope, catalogue, activity}
	for _, eventType := range known() {
		text, ok := schemas.ForType(eventType.String())
		require.True(t, ok, eventType.String())
		schema := object(parse(t, text))
		constant := object(object(schema["properties"])["type"])["const"]
		require.Equal(t, eventType.String(), constant)
		names = append(names, eventType.String()[len("io.kelisim."):]+".json")
	}
	require.ElementsMatch(t, names, glob(t, "*.json"))
	for _, name := range names {
		schema := object(parse(t, read(t, name)))
		require.Equal(t, schemas.Base+name, schema["$id"])
		require.Equal(t, "https://json-schema.org/draft/2020-12/schema", schema["$schema"])
	}
	for _, unknown := range []string{"", "io.kelisim.", "io.kelisim.envelope.v1.json", "com.example.consent.granted.v1", "io.kelisim.consent.granted.v2"} {
		_, ok := schemas.ForType(unknown)
		require.False(t, ok, unknown)
	}
}

// TestEnvelopeHasTheAttributesOfTheCodec, no more and no less.
func TestEnvelopeHasTheAttributesOfTheCodec(t *testing.T) {
	var names []string
	for name := range object(object(parse(t, read(t, envelope)))["properties"]) {
		names = append(names, name)
	}
	require.ElementsMatch(t, append(cloudevent.Extensions(), standard...), names)
}

// TestSchemasAskForWhatTheCodecAsksFor: attribute by attribute and type by type.
func TestSchemasAskForWhatTheCodecAsksFor(t *testing.T) {
	common := texts(object(parse(t, read(t, envelope)))["required"])
	require.ElementsMatch(t, []string{"specversion", "id", "source", "type", "time", "datacontenttype", "partitionkey", "data"}, common)
	for _, eventType := range known() {
		text, _ := schemas.ForType(eventType.String())
		schema := object(parse(t, text))
		required, properties := texts(schema["required"]), object(schema["properties"])
		shape := cloudevent.ShapeOf(eventType)
		for attribute, want := range map[string]cloudevent.Presence{
			"subject": shape.Subject, "purposes": shape.Purposes, "policyversion": shape.Policy,
			"method": shape.Method, "evidence": shape.Evidence,
			"requestsource": shape.Request, "requestid": shape.Request, "ground": shape.Request, "reference": shape.Request, "reviewby": shape.Request,
			"firstposition": shape.First, "firsttime": shape.First,
		} {
			got := cloudevent.May
			switch {
			case slices.Contains(required, attribute):
				got = cloudevent.Must
			case properties[attribute] == false:
				got = cloudevent.Never
			}
			require.Equal(t, want, got, "%s of %s", attribute, eventType)
		}
	}
}

// TestDataIsClosed, in every depth: what a producer may not say is refused.
func TestDataIsClosed(t *testing.T) {
	for _, eventType := range known() {
		text, _ := schemas.ForType(eventType.String())
		schema := object(parse(t, text))
		data := object(schema["properties"])["data"]
		require.NotNil(t, data, eventType.String())
		requireClosed(t, data)
		requireClosed(t, schema["$defs"])
	}
	requireClosed(t, parse(t, read(t, catalogue)))
}

func requireClosed(t *testing.T, v any) {
	schema := object(v)
	if schema["type"] == "object" {
		require.Equal(t, false, schema["additionalProperties"])
		require.NotEmpty(t, schema["required"])
	}
	for _, inner := range schema {
		switch inner := inner.(type) {
		case map[string]any:
			requireClosed(t, inner)
		case []any:
			for _, item := range inner {
				requireClosed(t, item)
			}
		}
	}
}
