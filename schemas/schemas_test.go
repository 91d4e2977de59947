package schemas_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cekafka"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/events/stream/recordbatch"
	"github.com/kelisim/kelisim/schemas"
)

// known are the types that have a schema: decisions, and what is of the log itself.
func known() []events.Type { return slices.Concat(events.Types(), events.LogTypes()) }

// compiled returns every schema as the package compiles it.
func compiled(t *testing.T) schemas.Set {
	all, err := schemas.Compiled()
	require.NoError(t, err)
	return all
}

// TestExamplesAreValid by the schema of their type.
func TestExamplesAreValid(t *testing.T) {
	ready := compiled(t)
	seen := make(map[events.Type]bool)
	for _, name := range glob(t, "examples/*.json") {
		t.Run(path.Base(name), func(t *testing.T) {
			eventType := typeOf(t, name)
			require.True(t, strings.HasPrefix("io.kelisim."+path.Base(name), eventType.String()+"."), "named by its type")
			require.NoError(t, ready.ForType(eventType.String()).Validate(parse(t, read(t, name))))
			seen[eventType] = true
		})
	}
	for _, eventType := range known() {
		require.True(t, seen[eventType], "no example of %s", eventType)
	}
}

// TestInvalidExamplesAreRefused by the schema, those with a wrong attribute by whoever
// reads them too, and those with wrong data by the encoder.
func TestInvalidExamplesAreRefused(t *testing.T) {
	ready := compiled(t)
	for _, name := range glob(t, "examples/invalid/*.json") {
		t.Run(path.Base(name), func(t *testing.T) {
			text := read(t, name)
			schema := ready.ForType(parse(t, text).(map[string]any)["type"].(string))
			if schema == nil {
				schema = ready.ForType(events.Withdrawn.String()) // of a type that does not exist
			}
			require.Error(t, schema.Validate(parse(t, text)))

			e, err := decode(text)
			if strings.HasPrefix(path.Base(name), "attribute-") {
				require.ErrorIs(t, err, cloudevent.ErrMalformed)
				return
			}
			require.NoError(t, err)
			_, err = cloudevent.Encoder{Rules: events.SeedRules(), Data: schemas.Data}.Encode(&e)
			var bad *cloudevent.MalformedError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, string(cloudevent.DataOutsideSchema), bad.Reason())
		})
	}
}

// TestExamplesAreGolden: read, written in binary mode, and put back into JSON,
// each is what it was. The attributes of others do not come back.
func TestExamplesAreGolden(t *testing.T) {
	foreign := []string{"traceparent", "dataschema"}
	for _, name := range glob(t, "examples/*.json") {
		t.Run(path.Base(name), func(t *testing.T) {
			want := parse(t, read(t, name)).(map[string]any)
			for _, attribute := range foreign {
				delete(want, attribute)
			}
			e, err := decode(read(t, name))
			require.NoError(t, err)
			m, err := cloudevent.Encoder{Rules: events.SeedRules(), Data: schemas.Data}.Encode(&e)
			require.NoError(t, err)

			ctx := binding.WithForceStructured(t.Context())
			var record kafka.Message
			require.NoError(t, cekafka.WriteMessage(ctx, cekafka.NewMessage(kafkaMessage(m)), &record))
			got := parse(t, record.Value)
			require.Equal(t, want, got)
		})
	}
}

// TestPolicyExampleIsTheSeed: the event that publishes it, to the byte.
func TestPolicyExampleIsTheSeed(t *testing.T) {
	e, err := decode(read(t, "examples/policy.published.v1.json"))
	require.NoError(t, err)
	c, err := policy.FromEvent(&e)
	require.NoError(t, err)
	require.Equal(t, policy.Seed(), c)
	want, err := c.Event(e.Source, e.Decided.Time())
	require.NoError(t, err)
	require.Equal(t, want.ID, e.ID)
	require.JSONEq(t, string(want.Data), string(e.Data))
}

// decode reads an event in structured mode, keyed by its partitionkey.
func decode(text []byte) (e events.Event, err error) {
	var keyed struct{ Type, PartitionKey string }
	_ = json.Unmarshal(text, &keyed) // what is no event has no key
	record := &recordbatch.Record{
		Key: []byte(keyed.PartitionKey), Value: text,
		Headers: recordbatch.Headers{}.Append("content-type", []byte("application/cloudevents+json")),
	}
	d := cloudevent.Decoder{Rules: events.SeedRules()}
	if events.ParseType(keyed.Type) == events.PolicyPublished {
		err = d.DecodePolicy(record, &e)
	} else {
		err = d.Decode(record, &e)
	}
	return e, err
}

func kafkaMessage(m stream.Message) kafka.Message {
	out := kafka.Message{Key: m.Key, Value: m.Value}
	for _, h := range m.Headers {
		out.Headers = append(out.Headers, kafka.Header{Key: h.Key, Value: h.Value})
	}
	return out
}

func typeOf(t *testing.T, name string) events.Type {
	text, _ := parse(t, read(t, name)).(map[string]any)["type"].(string)
	eventType := events.ParseType(text)
	require.NotZero(t, eventType, name)
	return eventType
}

func glob(t *testing.T, pattern string) []string {
	names, err := fs.Glob(schemas.FS(), pattern)
	require.NoError(t, err)
	require.NotEmpty(t, names)
	return names
}

func read(t *testing.T, name string) []byte {
	text, err := fs.ReadFile(schemas.FS(), name)
	require.NoError(t, err)
	return text
}

func parse(t *testing.T, text []byte) any {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	return v
}

// TestActivitiesAreHeldToTheirSchema, and those that name nobody, or a telephone
// number, to the codec too.
func TestActivitiesAreHeldToTheirSchema(t *testing.T) {
	schema := compiled(t).ForType("io.kelisim.activity.v1")
	require.NotNil(t, schema)
	read := func(name string) (valid, decoded error) {
		text := read(t, name)
		_, decoded = cloudevent.DecodeActivity(&recordbatch.Record{
			Value: text, Headers: recordbatch.Headers{}.Append("content-type", []byte("application/cloudevents+json")),
		})
		return schema.Validate(parse(t, text)), decoded
	}
	for _, name := range glob(t, "examples/activities/*.json") {
		valid, decoded := read(name)
		require.NoError(t, valid, name)
		require.NoError(t, decoded, name)
	}
	for _, name := range glob(t, "examples/activities/invalid/*.json") {
		valid, decoded := read(name)
		require.Error(t, valid, name)
		if path.Base(name) == "nobodys.json" || path.Base(name) == "telephone.json" {
			require.ErrorIs(t, decoded, cloudevent.ErrMalformed, name)
		}
	}
}
