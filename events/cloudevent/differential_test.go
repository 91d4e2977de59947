package cloudevent

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cekafka"
	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

// requireLikeSDK compares the first layer with package cekafka, which asks the
// SDK (ToEvent and Validate): the same records are accepted, and the same
// attributes read. One difference is on purpose: specversion 0.3 is refused.
func requireLikeSDK(t tester, record *recordbatch.Record) {
	t.Helper()
	want, refused := cekafka.Decode(kafkaMessage(record))
	var a attributes
	data, err := a.read(record)
	if refused == nil && want.SpecVersion == "0.3" {
		requireReason(t, cekafka.SpecVersion, err)
		return
	}
	require.Equal(t, refused == nil, err == nil, "SDK: %v, fast path: %v", refused, err)
	if err != nil {
		return
	}
	require.Equal(t, string(want.Data), string(data))
	for s, text := range map[slot]string{
		specVersion: want.SpecVersion, id: want.ID, source: want.Source, eventType: want.Type,
		subject: want.Subject, dataContentType: want.DataContentType,
	} {
		require.Equal(t, text != "", a.holds(s), s)
		if text != "" {
			require.Equal(t, text, a.text[s], s)
		}
	}
	require.Equal(t, want.DataSchema != "", a.holds(dataSchema)) // its text is not used
	require.Equal(t, !want.Time.IsZero(), a.holds(eventTime))
	if a.holds(eventTime) {
		require.Equal(t, events.MillisOf(want.Time), a.moment.at)
	}
	for s := partitionKey; s < slots; s++ {
		text, has := want.Extensions[s.String()]
		require.Equal(t, has, a.holds(s), s)
		if has {
			require.Equal(t, text, a.text[s], s)
		}
	}
}

// FuzzLikeSDK changes any three headers of a good record, and its value.
func FuzzLikeSDK(f *testing.F) {
	for _, seed := range differences() {
		for len(seed) < 3 {
			seed = append(seed, pair{"x", "x"})
		}
		f.Add(seed[0][0], []byte(seed[0][1]), seed[1][0], []byte(seed[1][1]), seed[2][0], []byte(seed[2][1]), []byte(details), uint8(0))
	}
	const ct = "content-type"
	f.Add(ct, []byte("application/cloudevents+json"), "ce_id", []byte("\xff"), "CE_id", []byte("x"), []byte(structured+`,"data":{}}`), uint8(0))
	f.Add(ct, []byte("Application/CloudEvents+json; charset=utf-8"), "x", []byte("x"), "Content-Type", []byte("x"), []byte(structured+`}`), uint8(1))
	f.Fuzz(func(t *testing.T, n1 string, v1 []byte, n2 string, v2 []byte, n3 string, v3 []byte, value []byte, how uint8) {
		headers := withdrawal()
		for i, c := range []pair{{n1, string(v1)}, {n2, string(v2)}, {n3, string(v3)}} {
			if how>>i&1 != 0 { // beside what is there, before or behind
				headers = append(headers, c)
			} else if how>>i&8 != 0 {
				headers = append([]pair{c}, headers...)
			} else {
				headers = change(headers, c)
			}
		}
		record := &recordbatch.Record{Key: []byte(person), Value: value, Headers: rawHeaders(headers)}
		requireLikeSDK(t, record)

		var e events.Event
		if err := decoder().Decode(record, &e); err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		requireEncodes(t, &e)
	})
}

// FuzzRawHeadersLikeSDK takes the headers as bytes.
func FuzzRawHeadersLikeSDK(f *testing.F) {
	good := rawHeaders(withdrawal())
	f.Add(good.Raw(), good.Len(), []byte(details))
	f.Fuzz(func(t *testing.T, raw []byte, n int, value []byte) {
		headers, err := recordbatch.ParseHeaders(raw, n)
		if err != nil {
			return
		}
		requireLikeSDK(t, &recordbatch.Record{Value: value, Headers: headers})
	})
}

// TestFastPathDecidesLikeTheSDK runs the seeds and some more without fuzzing.
func TestFastPathDecidesLikeTheSDK(t *testing.T) {
	for _, seed := range differences() {
		t.Run(seed[0][0]+" "+seed[0][1], func(t *testing.T) {
			requireLikeSDK(t, recordOf(person, details, withdrawal(seed...)))
		})
	}
	for _, source := range []string{
		"/", "//", "//host", "//host/path", "/a//b", "/a/../b", "a", "a/b", "a:b", "./a:b", "..", ".", "urn:", "urn:a", "urn:/a", "urn:a:b:1", "urn:a/b", "URN:a",
		"https://", "https://host", "https://host/", "https://host//x", "https:///x", "https://host:80/x", "https://Host/X", "http://h/x", "HTTPS://h", "https:/x", "https:x",
		"/a b", "/a?b", "/a#b", "/a%20b", "/a%2fb", "/a%zz", "?", "#", "/~a", "/a;b", "/a,b", "/қ", "mailto:a@b", "https://u:p@h/", "https://[::1]/", "https://h%41/", " /a", "/a ", "\t", "*",
	} {
		t.Run("source "+source, func(t *testing.T) {
			requireLikeSDK(t, recordOf(person, details, withdrawal(pair{"ce_source", source})))
		})
	}
	for _, value := range [][]byte{nil, {}, []byte("null")} {
		record := recordOf(person, "", withdrawal())
		record.Value = value
		requireLikeSDK(t, record)
	}
}

// differences are changes on which two readers might disagree.
func differences() [][]pair {
	all := [][]pair{
		{{"ce_id", "1"}, {"CE_ID", "2"}},
		{{"ce_id", " 1\u00a0"}}, {{"ce_id", "\u2003"}}, {{"ce_id", ""}}, {{"ce_id", "\u0085x"}},
		{{"ce_type", " "}}, {{"ce_subject", "\t"}}, {{"ce_subject", " u "}},
		{{"ce_specversion", "0.3"}}, {{"ce_specversion", "0.3"}, {"ce_schemaurl", "%zz"}}, {{"ce_specversion", "0.3"}, {"ce_datacontentencoding", "base64"}},
		{{"ce_specversion", " 1.0"}}, {{"ce_specversion", "1.00"}}, {{"ce_specversion", "-"}}, {{"ce_specversion", ""}},
		{{"ce_time", ""}}, {{"ce_time", " 2026-11-22T10:15:30Z"}}, {{"ce_time", "2026-11-22T10:15:30,5Z"}}, {{"ce_time", "0001-01-01T00:00:00Z"}},
		{{"content-type", "-"}, {"ce_datacontenttype", "application/cloudevents+json"}},
		{{"content-type", "a/b"}, {"ce_datacontenttype", "a/b "}}, {{"content-type", ""}}, {{"content-type", " a/b; x"}}, {{"content-type", "a"}},
		{{"content-type", "a/b; charset=x; charset=y"}}, {{"content-type", ""}, {"ce_datacontenttype", ""}}, {{"Content-Type", "a/b"}},
		{{"content-type", " application/cloudevents+json"}}, {{"content-type", "application/cloudevents"}}, {{"content-type", "application/cloudevents\xff"}},
		{{"ce_dataschema", ""}}, {{"ce_dataschema", " http://x "}}, {{"ce_dataschema", "//x"}}, {{"ce_dataschema", "http://%zz"}}, {{"ce_dataschema", "http:"}},
		{{"ce_", "x"}}, {{"ce_data", "x"}}, {{"CE_DATA", "x"}}, {{"ce_data_base64", "x"}}, {{"ce_\u212a", "x"}}, {{"ce_\xff", "x"}}, {{"cE_schemaurl", "%zz"}},
		{{"ce_x", "\xff"}}, {{"ce_x", ""}, {"CE_X", ""}}, {{"x", "\xff"}}, {{"", ""}}, {{"ce", "x"}}, {{"CE_PURPOSES", "x"}, {"ce_purposes", "-"}},
		{{"ce_type", "io.kelisim.withdrawal.refused.v1"}, {"ce_ground", "law"}, {"CE_Reference", "\u00e9"}}, {{"ce_ground", "law"}, {"CE_GROUND", "law"}}, {{"ce_reference", "\xff"}},
		{{"ce_purposes", "\xff"}}, {{"ce_policyversion", "\u00e9"}}, {{"ce_datacontenttype", "application/json"}},
	}
	var many []pair
	for i := range cekafka.MaxAttributes - len(withdrawal()) {
		many = append(many, pair{"ce_x" + string(rune('a'+i%26)) + string(rune('a'+i/26)), "v"})
	}
	return append(all, many, append(many[:len(many):len(many)], pair{"ce_toomany", ""}))
}
