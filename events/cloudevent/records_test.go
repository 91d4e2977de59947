package cloudevent

import (
	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

// pair is one header.
type pair = [2]string

const (
	person  = "u-7f1c9b52"
	details = `{"channel":"app"}`
)

// withdrawal is the headers of a good event, as this package writes them, with
// some replaced, added, or (value "-") left out.
func withdrawal(changes ...pair) []pair {
	headers := []pair{
		{"ce_specversion", "1.0"},
		{"ce_id", "0198c5a0-53a4-7c3e-9d0f-3f8d2f0a9c11"},
		{"ce_source", "/preference-centre"},
		{"ce_type", "io.kelisim.consent.withdrawn.v1"},
		{"content-type", "application/json"},
		{"ce_time", "2026-11-22T10:15:30.123Z"},
		{"ce_subject", person},
		{"ce_partitionkey", person},
		{"ce_purposes", "promotion,research"},
		{"ce_method", "person"},
		{"ce_evidence", "urn:kelisim:evidence:81"},
	}
	for _, c := range changes {
		headers = change(headers, c)
	}
	return headers
}

// refusal is the changes that make a refusal of it, with some more.
func refusal(changes ...pair) []pair {
	changed := []pair{
		{"ce_type", "io.kelisim.withdrawal.refused.v1"},
		{"ce_requestsource", "/preference-centre"},
		{"ce_requestid", "0198c5a0-53a4-7c3e-9d0f-3f8d2f0a9c10"},
		{"ce_ground", "unfulfilled-obligation"},
		{"ce_reference", "urn:kelisim:obligation:7"},
		{"ce_reviewby", "2027-02-22T00:00:00Z"},
	}
	return append(changed, changes...)
}

func change(headers []pair, c pair) []pair {
	for i, h := range headers {
		if h[0] != c[0] {
			continue
		}
		if c[1] == "-" {
			return append(headers[:i:i], headers[i+1:]...)
		}
		headers[i] = c
		return headers
	}
	return append(headers, c)
}

// rawHeaders encodes pairs as they stand in a record.
func rawHeaders(headers []pair) (raw recordbatch.Headers) {
	for _, h := range headers {
		raw = raw.Append(h[0], []byte(h[1]))
	}
	return raw
}

func recordOf(key, value string, headers []pair) *recordbatch.Record {
	return &recordbatch.Record{Key: []byte(key), Value: []byte(value), Headers: rawHeaders(headers)}
}

// recordOfMessage is a message as a consumer would read it.
func recordOfMessage(m stream.Message) *recordbatch.Record {
	r := &recordbatch.Record{Key: m.Key, Value: m.Value}
	for _, h := range m.Headers {
		r.Headers = r.Headers.Append(h.Key, h.Value)
	}
	return r
}

// kafkaMessage is the same record as kafka-go gives it.
func kafkaMessage(r *recordbatch.Record) kafka.Message {
	m := kafka.Message{Key: r.Key, Value: r.Value}
	for key, value := range r.Headers.All() {
		m.Headers = append(m.Headers, kafka.Header{Key: string(key), Value: value})
	}
	return m
}

// tester is a *testing.T or a *rapid.T.
type tester interface {
	require.TestingT
	Helper()
}

func decoder() Decoder { return Decoder{Rules: events.SeedRules()} }

func requireReason(t tester, want Reason, err error) {
	t.Helper()
	if want == "" {
		require.NoError(t, err)
		return
	}
	require.ErrorIs(t, err, ErrMalformed)
	var bad *MalformedError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, string(want), bad.Reason(), "%v", err)
}
