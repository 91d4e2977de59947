package cekafka_test

import (
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/cekafka"
)

// TestKafkaScenariosOfCloudEventsConformance holds the data of
// cloudevents/conformance, features/kafka-protocol-binding.feature.
func TestKafkaScenariosOfCloudEventsConformance(t *testing.T) {
	const structured = `{
    "specversion": "1.0",
    "type": "com.example.someevent",
    "time": "2018-04-05T03:56:24Z",
    "id": "1234-1234-1234",
    "source": "/mycontext/subcontext",
    "datacontenttype": "application/json",
    "data": {
        "message": "Hello World!"
    }
}`
	scenarios := []struct {
		name    string
		headers [][2]string
		payload string
	}{
		{
			name: "Binary content mode",
			headers: [][2]string{
				{"ce_specversion", "1.0"},
				{"ce_id", "1234-1234-1234"},
				{"ce_type", "com.example.someevent"},
				{"ce_source", "/mycontext/subcontext"},
				{"ce_time", "2018-04-05T03:56:24Z"},
				{"content-type", "application/json"},
			},
			payload: `{"message": "Hello World!"}`,
		},
		{
			name:    "Structured content mode (application/cloudevents+json)",
			headers: [][2]string{{"content-type", "application/cloudevents+json"}},
			payload: structured,
		},
		{
			name:    "Structured content mode (application/cloudevents+json; charset=utf-8)",
			headers: [][2]string{{"content-type", "application/cloudevents+json; charset=utf-8"}},
			payload: structured,
		},
	}
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			e, err := binding.ToEvent(t.Context(), cekafka.NewMessage(message(s.payload, s.headers...)))
			require.NoError(t, err)
			require.NoError(t, e.Validate())
			require.Equal(t, "1234-1234-1234", e.ID())
			require.Equal(t, "1.0", e.SpecVersion())
			require.Equal(t, "com.example.someevent", e.Type())
			require.Equal(t, "/mycontext/subcontext", e.Source())
			require.Equal(t, time.Date(2018, 4, 5, 3, 56, 24, 0, time.UTC), e.Time())
			require.Equal(t, "application/json", e.DataContentType())
			require.Empty(t, e.Extensions())
			require.JSONEq(t, `{"message": "Hello World!"}`, string(e.Data()))
		})
	}
}

func message(value string, headers ...[2]string) kafka.Message {
	m := kafka.Message{Value: []byte(value)}
	for _, h := range headers {
		m.Headers = append(m.Headers, kafka.Header{Key: h[0], Value: []byte(h[1])})
	}
	return m
}
