package cekafka_test

import (
	"errors"
	"maps"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/test"
	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/cekafka"
)

func keyed(partitionKey string) *event.Event {
	e := test.MinEvent()
	e.SetExtension("partitionkey", partitionKey)
	return &e
}

// TestBinaryHeadersAreTheSpecifications: names, values, and nothing else.
func TestBinaryHeadersAreTheSpecifications(t *testing.T) {
	e := test.FullEvent()
	var record kafka.Message
	require.NoError(t, cekafka.WriteMessage(t.Context(), binding.ToMessage(&e), &record))
	require.Equal(t, map[string]string{
		"ce_specversion": "1.0",
		"ce_id":          "full-event",
		"ce_source":      "http://example.com/source",
		"ce_type":        "com.example.FullEvent",
		"ce_subject":     "topic",
		"ce_dataschema":  "http://example.com/schema",
		"ce_time":        "2020-03-21T12:34:56.78Z",
		"content-type":   "text/json",
		"ce_exbool":      "true",
		"ce_exint":       "42",
		"ce_exstring":    "exstring",
		"ce_exbinary":    "AAECAw==",
		"ce_exurl":       "http://example.com/source",
		"ce_extime":      "2020-03-21T12:34:56.78Z",
	}, headersOf(record))
	require.Equal(t, `"hello"`, string(record.Value))
}

// TestEventWithoutDataIsANullValue, as the specification says (3.2.2), and not
// an empty one: on a compacted topic the two differ.
func TestEventWithoutDataIsANullValue(t *testing.T) {
	e := test.MinEvent()
	record := kafka.Message{Value: []byte("of an earlier event")}
	require.NoError(t, cekafka.WriteMessage(t.Context(), binding.ToMessage(&e), &record))
	require.Nil(t, record.Value)
	require.NoError(t, cekafka.WriteMessage(binding.WithForceStructured(t.Context()), binding.ToMessage(&e), &record))
	require.NotEmpty(t, record.Value)
}

// TestWriteKeepsWhatIsNotTheEvents: topic, key, and the headers of others; but
// no header of an event that stood there before.
func TestWriteKeepsWhatIsNotTheEvents(t *testing.T) {
	e := test.MinEvent()
	record := message("old", [2]string{"trace", "1"}, [2]string{"CE_old", "x"}, [2]string{"Content-Type", "text/plain"}, [2]string{"trace", "2"})
	record.Topic, record.Key = "topic", []byte("key")
	foreign := record.Headers[0]
	require.NoError(t, cekafka.WriteMessage(t.Context(), binding.ToMessage(&e), &record))
	require.Equal(t, "topic", record.Topic)
	require.Equal(t, "key", string(record.Key))
	require.Equal(t, foreign, record.Headers[0])
	require.Len(t, record.Headers, 2+4)
	require.NotContains(t, headersOf(record), "CE_old")
	require.NotContains(t, headersOf(record), "Content-Type")

	require.NoError(t, cekafka.WriteMessage(binding.WithForceStructured(t.Context()), binding.ToMessage(&e), &record))
	require.Equal(t, foreign, record.Headers[0])
	require.Len(t, record.Headers, 2+1)
}

// TestFailedWriteLeavesTheRecordAlone.
func TestFailedWriteLeavesTheRecordAlone(t *testing.T) {
	bad := test.MinEvent()
	bad.SetID("\xff")
	record := message("value", [2]string{"trace", "1"})
	want := message("value", [2]string{"trace", "1"})
	require.ErrorIs(t, cekafka.WriteMessage(t.Context(), binding.ToMessage(&bad), &record), cekafka.ErrMalformed)
	require.Equal(t, want, record)
}

// TestKeyMapperKeysAndDoesNotAlterTheEvent (specification 3.1).
func TestKeyMapperKeysAndDoesNotAlterTheEvent(t *testing.T) {
	for name, ctx := range modes(t) {
		t.Run(name, func(t *testing.T) {
			var plain, mapped kafka.Message
			require.NoError(t, cekafka.WriteMessage(ctx, binding.ToMessage(keyed("u-1")), &plain))
			require.Nil(t, plain.Key, "the mapper is opt-in")

			ctx := cekafka.WithKeyMapper(ctx, cekafka.PartitionKey)
			require.NoError(t, cekafka.WriteMessage(ctx, binding.ToMessage(keyed("u-1")), &mapped))
			require.Equal(t, "u-1", string(mapped.Key))
			require.Equal(t, headersOf(plain), headersOf(mapped))
			require.Equal(t, plain.Value, mapped.Value)
			require.Equal(t, "u-1", test.MustToEvent(t, ctx, cekafka.NewMessage(mapped)).Extensions()["partitionkey"])
		})
	}
}

// TestGivenKeyComesBeforeTheMappers: on the record, then in the context.
func TestGivenKeyComesBeforeTheMappers(t *testing.T) {
	ctx := cekafka.WithKeyMapper(t.Context(), cekafka.PartitionKey)
	var record kafka.Message
	require.NoError(t, cekafka.WriteMessage(cekafka.WithKey(ctx, []byte("given")), binding.ToMessage(keyed("u-1")), &record))
	require.Equal(t, "given", string(record.Key))

	record = kafka.Message{Key: []byte("set")}
	require.NoError(t, cekafka.WriteMessage(cekafka.WithKey(ctx, []byte("given")), binding.ToMessage(keyed("u-1")), &record))
	require.Equal(t, "set", string(record.Key))
}

// TestPartitionKeyMayBeMissingAndNotEmpty.
func TestPartitionKeyMayBeMissingAndNotEmpty(t *testing.T) {
	ctx := cekafka.WithKeyMapper(t.Context(), cekafka.PartitionKey)
	var record kafka.Message
	e := test.MinEvent()
	require.NoError(t, cekafka.WriteMessage(ctx, binding.ToMessage(&e), &record))
	require.Nil(t, record.Key)
	require.ErrorIs(t, cekafka.WriteMessage(ctx, binding.ToMessage(keyed("")), &record), cekafka.ErrMalformed)
}

// TestSenderFinishesWhatItSentWithTheResult.
func TestSenderFinishesWhatItSentWithTheResult(t *testing.T) {
	refused := errors.New("broker says no")
	ended := errors.New("upstream commit failed")
	cases := []struct {
		name               string
		broker, end        error
		want, finishedWith error
	}{
		{name: "sent"},
		{name: "refused", broker: refused, want: refused, finishedWith: refused},
		{name: "sent, not finished", end: ended, want: ended},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var finished []error
			in := finishing{(*binding.EventMessage)(keyed("u-1")), func(result error) error {
				finished = append(finished, result)
				return c.end
			}}
			log := &memoryLog{refuse: c.broker}
			err := cekafka.NewSender(log, cekafka.SendTo("topic"), cekafka.KeyedBy(cekafka.PartitionKey)).Send(t.Context(), in)
			require.ErrorIs(t, err, c.want)
			require.Len(t, finished, 1)
			require.ErrorIs(t, finished[0], c.finishedWith)
			if c.broker == nil {
				require.Len(t, log.records, 1)
				require.Equal(t, "topic", log.records[0].Topic)
				require.Equal(t, "u-1", string(log.records[0].Key))
			}
		})
	}
}

// finishing is a message whose end is watched.
type finishing struct {
	*binding.EventMessage
	finish func(error) error
}

// GetWrappedMessage is what the SDK finds the event by.
func (f finishing) GetWrappedMessage() binding.Message { return f.EventMessage }

func (f finishing) Finish(result error) error { return f.finish(result) }

func headersOf(record kafka.Message) map[string]string {
	m := make(map[string]string)
	for _, h := range record.Headers {
		m[h.Key] = string(h.Value)
	}
	return maps.Clone(m)
}
