package cloudevent

import (
	"net/url"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cekafka"
	"github.com/kelisim/kelisim/schemas"
)

// BenchmarkDecode: at most 250 ns and no allocation for the usual event; beside
// it the SDK, which is the slow way.
func BenchmarkDecode(b *testing.B) {
	d := decoder()
	bench := func(name string, headers []pair) {
		record := recordOf(person, details, headers)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var e events.Event
			for b.Loop() {
				if err := d.Decode(record, &e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	bench("withdrawal", withdrawal())
	bench("refusal", withdrawal(refusal()...))
	bench("unknown-extension", withdrawal(pair{"ce_traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}))
	record := kafkaMessage(recordOf(person, details, withdrawal()))
	b.Run("sdk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			e, err := binding.ToEvent(b.Context(), cekafka.NewMessage(record))
			if err != nil || e.Validate() != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkEncode of the usual event, and without looking into its data.
func BenchmarkEncode(b *testing.B) {
	var e events.Event
	require.NoError(b, decoder().Decode(recordOf(person, details, withdrawal()), &e))
	for name, n := range map[string]Encoder{
		"checked": {Rules: events.SeedRules(), Data: schemas.Data}, "unchecked": {Rules: events.SeedRules(), AnyData: true},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := n.Encode(&e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestDecodeDoesNotAllocate: in the hot path garbage would cost more than the
// decoding.
func TestDecodeDoesNotAllocate(t *testing.T) {
	d := decoder()
	for name, more := range map[string][]pair{
		"withdrawal": {{"ce_traceparent", "00-4bf92f3577b34da6"}},
		"grant":      {{"ce_type", "io.kelisim.consent.granted.v1"}, {"ce_policyversion", "2026-11"}},
	} {
		record := recordOf(person, details, withdrawal(more...))
		var e events.Event
		require.Zero(t, testing.AllocsPerRun(100, func() {
			if err := d.Decode(record, &e); err != nil {
				t.Fatal(err)
			}
		}), name)
	}
}

// What is known without being parsed is what the parser says.
func TestAbsoluteIsWhatTheStandardLibrarySays(t *testing.T) {
	for _, text := range []string{
		"urn:", "urn:a", "urn:/a", "urn:a//b", "urn:a:b.c_d-e", "urn:kelisim:evidence:81", "URN:a", "urn:a b", "urn:a%zz", "urn:a?b",
		"https://", "https:///a", "https://host", "https://host/a", "https://host//a", "https:host", "https://ho:st", "HTTPS://host", "http://host",
		"/a", "//a", "a", "a:b", ":a", "-", ".", "https", "urn",
	} {
		u, err := url.Parse(text)
		require.Equal(t, err == nil && u.IsAbs(), isAbsolute(text), text)
	}
}
