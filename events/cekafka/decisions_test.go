package cekafka_test

import (
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/cekafka"
)

const someData = `{"message":"hello"}`

// valid is the least headers of an event, then others.
func valid(others ...[2]string) [][2]string {
	return append([][2]string{
		{"ce_specversion", "1.0"}, {"ce_id", "1"}, {"ce_source", "/s"}, {"ce_type", "t"},
	}, others...)
}

// without is valid less one header.
func without(name string) (headers [][2]string) {
	for _, h := range valid() {
		if h[0] != name {
			headers = append(headers, h)
		}
	}
	return headers
}

// TestDecidedAnswersInBinaryMode is the table of the package comment.
func TestDecidedAnswersInBinaryMode(t *testing.T) {
	cases := []struct {
		name    string
		headers [][2]string
		refused cekafka.Reason // empty: accepted
		of      string
	}{
		{name: "least", headers: valid()},
		{name: "upper-case header names", headers: [][2]string{
			{"CE_SPECVERSION", "1.0"}, {"Ce_Id", "1"}, {"ce_Source", "/s"}, {"CE_type", "t"}, {"Content-Type", "text/plain"},
		}},
		{name: "specversion 0.3", headers: append(without("ce_specversion"), [2]string{"ce_specversion", "0.3"})},
		{name: "specversion 2.0", headers: append(without("ce_specversion"), [2]string{"ce_specversion", "2.0"}), refused: cekafka.SpecVersion, of: "specversion"},
		{name: "no specversion", headers: without("ce_specversion"), refused: cekafka.NoSpecVersion},
		{name: "no id", headers: without("ce_id"), refused: cekafka.BadValue, of: "id"},
		{name: "no source", headers: without("ce_source"), refused: cekafka.BadValue, of: "source"},
		{name: "no type", headers: without("ce_type"), refused: cekafka.BadValue, of: "type"},
		{name: "empty id", headers: append(without("ce_id"), [2]string{"ce_id", ""}), refused: cekafka.BadValue},
		{name: "empty subject is none", headers: valid([2]string{"ce_subject", ""})},
		{name: "time with offset and nanoseconds", headers: valid([2]string{"ce_time", "2026-11-22T15:00:00.123456789+05:00"})},
		{name: "time not RFC 3339", headers: valid([2]string{"ce_time", "2026-11-22 15:00"}), refused: cekafka.BadValue},
		{name: "unknown extension", headers: valid([2]string{"ce_traceparent", "00-ab-cd-01"})},
		{name: "extension with a dash", headers: valid([2]string{"ce_trace-parent", "x"}), refused: cekafka.BadName, of: "extension"},
		{name: "extension without a name", headers: valid([2]string{"ce_", "x"}), refused: cekafka.BadName},
		{name: "extension named by the Kelvin sign", headers: valid([2]string{"ce_\u212a", "x"}), refused: cekafka.BadName, of: "extension"},
		{name: "attribute named data", headers: valid([2]string{"ce_data", "x"}), refused: cekafka.BadName, of: "data"},
		{name: "attribute twice", headers: valid([2]string{"ce_id", "1"}), refused: cekafka.DuplicateAttribute, of: "id"},
		{name: "attribute twice, by case", headers: valid([2]string{"CE_Id", "2"}), refused: cekafka.DuplicateAttribute, of: "id"},
		{name: "extension twice", headers: valid([2]string{"ce_ext", "1"}, [2]string{"ce_ext", "2"}), refused: cekafka.DuplicateAttribute, of: "extension"},
		{name: "content-type twice", headers: valid([2]string{"content-type", "text/plain"}, [2]string{"Content-Type", "text/plain"}), refused: cekafka.DuplicateAttribute, of: "datacontenttype"},
		{name: "content-type and equal ce_datacontenttype", headers: valid([2]string{"content-type", "text/plain"}, [2]string{"ce_datacontenttype", "text/plain"})},
		{name: "content-type and other ce_datacontenttype", headers: valid([2]string{"content-type", "text/plain"}, [2]string{"ce_datacontenttype", "text/html"}), refused: cekafka.ContentTypeConflict, of: "datacontenttype"},
		{name: "ce_datacontenttype alone", headers: valid([2]string{"ce_datacontenttype", "text/plain"})},
		{name: "ce_datacontenttype twice", headers: valid([2]string{"ce_datacontenttype", "text/plain"}, [2]string{"CE_datacontenttype", "text/plain"}), refused: cekafka.DuplicateAttribute, of: "datacontenttype"},
		{name: "content type that is none", headers: valid([2]string{"content-type", "text/"}), refused: cekafka.BadValue, of: "datacontenttype"},
		{name: "value not UTF-8", headers: valid([2]string{"ce_subject", "\xff"}), refused: cekafka.BadUTF8, of: "subject"},
		{name: "content-type not UTF-8", headers: valid([2]string{"content-type", "text/\xff"}), refused: cekafka.BadUTF8, of: "datacontenttype"},
		{name: "foreign header not UTF-8", headers: valid([2]string{"trace", "\xff"}, [2]string{"trace", "\xff"})},
		{name: "too many", headers: valid(extensions(cekafka.MaxAttributes - 3)...), refused: cekafka.TooManyAttributes},
		{name: "as many as may be", headers: valid(extensions(cekafka.MaxAttributes - 4)...)},
		{name: "dataschema not absolute", headers: valid([2]string{"ce_dataschema", "schema"}), refused: cekafka.BadValue, of: "dataschema"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := cekafka.Decode(message(someData, c.headers...))
			requireRefused(t, err, c.refused, c.of)
		})
	}
}

func extensions(n int) (headers [][2]string) {
	for i := range n {
		headers = append(headers, [2]string{"ce_x" + strings.Repeat("y", i), "v"})
	}
	return headers
}

// TestDecidedAnswersInStructuredMode is the other half of the table.
func TestDecidedAnswersInStructuredMode(t *testing.T) {
	const rest = `"id":"1","source":"/s","type":"t"`
	const v1 = `{"specversion":"1.0",` + rest
	const v03 = `{"specversion":"0.3",` + rest
	cases := []struct {
		name        string
		contentType string
		value       string
		refused     cekafka.Reason
		of          string
	}{
		{name: "least", value: v1 + `}`},
		{name: "upper-case content type", contentType: "Application/CloudEvents+JSON", value: v1 + `}`},
		{name: "charset", contentType: `application/cloudevents+json; charset="UTF-8"`, value: v1 + `}`},
		{name: "other charset", contentType: "application/cloudevents+json; charset=iso-8859-1", value: v1 + `}`, refused: cekafka.Charset},
		{name: "batch", contentType: "application/cloudevents-batch+json", value: `[` + v1 + `}]`, refused: cekafka.EventFormat},
		{name: "unknown format", contentType: "application/cloudevents+avro", value: "x", refused: cekafka.EventFormat},
		{name: "broken content type", contentType: "application/cloudevents+json; charset", value: v1 + `}`, refused: cekafka.EventFormat},
		{name: "no value", value: "", refused: cekafka.JSON},
		{name: "not an object", value: "[]", refused: cekafka.JSON},
		{name: "broken off", value: v1, refused: cekafka.JSON},
		{name: "something behind", value: v1 + `}{}`, refused: cekafka.JSON},
		{name: "not UTF-8", value: v1 + `,"x":"` + "\xff" + `"}`, refused: cekafka.BadUTF8},
		{name: "a lone surrogate", value: v1 + `,"subject":"\ud800"}`, refused: cekafka.BadUTF8},
		{name: "no specversion", value: `{` + rest + `}`, refused: cekafka.NoSpecVersion},
		{name: "specversion 2.0", value: `{"specversion":"2.0",` + rest + `}`, refused: cekafka.SpecVersion, of: "specversion"},
		{name: "specversion null", value: `{"specversion":null,` + rest + `}`, refused: cekafka.SpecVersion, of: "specversion"},
		{name: "no id", value: `{"specversion":"1.0","source":"/s","type":"t"}`, refused: cekafka.BadValue, of: "id"},
		{name: "id null", value: `{"specversion":"1.0","id":null,"source":"/s","type":"t"}`, refused: cekafka.BadValue, of: "id"},
		{name: "member twice", value: v1 + `,"id":"2"}`, refused: cekafka.DuplicateAttribute, of: "id"},
		{name: "member twice, escaped", value: v1 + `,"\u0069d":"2"}`, refused: cekafka.DuplicateAttribute, of: "id"},
		{name: "data twice", value: v1 + `,"data":1,"data":2}`, refused: cekafka.DuplicateAttribute, of: "data"},
		{name: "data and data_base64", value: v1 + `,"data":1,"data_base64":"AA=="}`, refused: cekafka.DuplicateAttribute, of: "data"},
		{name: "extension not lower-case", value: v1 + `,"traceParent":"x"}`, refused: cekafka.BadName, of: "extension"},
		{name: "extension an object", value: v1 + `,"ext":{}}`, refused: cekafka.BadValue, of: "extension"},
		{name: "extension a fraction", value: v1 + `,"ext":1.5}`, refused: cekafka.BadValue, of: "extension"},
		{name: "extension above 32 bits", value: v1 + `,"ext":2147483648}`, refused: cekafka.BadValue, of: "extension"},
		{name: "extension null is none", value: v1 + `,"ext":null}`},
		{name: "extensions of every type", value: v1 + `,"a":"x","b":true,"c":-7}`},
		{name: "time not RFC 3339", value: v1 + `,"time":"yesterday"}`, refused: cekafka.BadValue},
		{name: "id a number", value: `{"specversion":"1.0","id":1,"source":"/s","type":"t"}`, refused: cekafka.BadValue},
		{name: "data_base64", value: v1 + `,"data_base64":"AAEC"}`},
		{name: "data_base64 broken", value: v1 + `,"data_base64":"A"}`, refused: cekafka.BadValue, of: "data_base64"},
		{name: "data_base64 a number, first", value: `{"data_base64":1,"specversion":"1.0",` + rest + `}`, refused: cekafka.BadValue, of: "data_base64"},
		{name: "0.3 with base64", value: v03 + `,"datacontentencoding":"base64","data":"AAEC"}`},
		{name: "0.3 with base64 of a number", value: v03 + `,"datacontentencoding":"base64","data":5}`, refused: cekafka.BadValue, of: "data"},
		{name: "0.3 with empty encoding, first", value: `{"datacontentencoding":"","specversion":"0.3",` + rest + `}`, refused: cekafka.BadValue, of: "datacontentencoding"},
		{name: "0.3 with data_base64", value: v03 + `,"data_base64":"AA=="}`, refused: cekafka.BadName, of: "data_base64"},
		{name: "too many", value: v1 + strings.Join(members(cekafka.MaxAttributes-3), "") + `}`, refused: cekafka.TooManyAttributes},
		{name: "as many as may be", value: v1 + strings.Join(members(cekafka.MaxAttributes-4), "") + `,"data":{}}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.contentType == "" {
				c.contentType = "application/cloudevents+json"
			}
			_, err := cekafka.DecodeStructured(c.contentType, []byte(c.value))
			requireRefused(t, err, c.refused, c.of)
		})
	}
}

func members(n int) (texts []string) {
	for _, h := range extensions(n) {
		texts = append(texts, `,"`+strings.TrimPrefix(h[0], "ce_")+`":"v"`)
	}
	return texts
}

func requireRefused(t *testing.T, err error, reason cekafka.Reason, of string) {
	t.Helper()
	if reason == "" {
		require.NoError(t, err)
		return
	}
	require.ErrorIs(t, err, cekafka.ErrMalformed)
	var refusal *cekafka.MalformedError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, reason, refusal.Reason, err)
	if of != "" {
		require.Equal(t, of, refusal.Attribute)
	}
}

// TestNullAndEmptyValueAreAnEventWithoutData: kafka-go's Reader gives nil for
// both, so the binding must not answer differently.
func TestNullAndEmptyValueAreAnEventWithoutData(t *testing.T) {
	for _, value := range [][]byte{nil, {}} {
		record := message("", valid()...)
		record.Value = value
		got, err := cekafka.Decode(record)
		require.NoError(t, err)
		require.Nil(t, got.Data)
	}
	empty, null := message("", valid([2]string{"ce_ext", ""})...), message("", valid([2]string{"ce_ext", ""})...)
	null.Headers[4].Value = nil
	one, err := cekafka.Decode(empty)
	require.NoError(t, err)
	other, err := cekafka.Decode(null)
	require.NoError(t, err)
	require.Equal(t, one, other)
	require.Equal(t, map[string]string{"ext": ""}, one.Extensions)
}

// TestBinaryHeadersOfAStructuredRecordAreIgnored: the specification allows
// them, and the value must have the last word.
func TestBinaryHeadersOfAStructuredRecordAreIgnored(t *testing.T) {
	record := message(`{"specversion":"1.0","id":"inner","source":"/s","type":"t"}`,
		valid([2]string{"content-type", "application/cloudevents+json"}, [2]string{"ce_id", "twice"}, [2]string{"ce_!", "\xff"})...)
	got, err := cekafka.Decode(record)
	require.NoError(t, err)
	require.Equal(t, "inner", got.ID)
}

// TestOtherRecordsAreUnknown: neither an event nor an error.
func TestOtherRecordsAreUnknown(t *testing.T) {
	for name, record := range map[string]kafka.Message{
		"bare":              message("x"),
		"other headers":     message("x", [2]string{"content-type", "application/json"}),
		"no specversion":    message("x", without("ce_specversion")...),
		"avro event format": message("x", [2]string{"content-type", "application/cloudevents+avro"}),
	} {
		t.Run(name, func(t *testing.T) {
			m := cekafka.NewMessage(record)
			require.Equal(t, binding.EncodingUnknown, m.ReadEncoding())
			_, err := binding.ToEvent(t.Context(), m)
			require.ErrorIs(t, err, binding.ErrUnknownEncoding)
			require.Equal(t, binding.ErrNotStructured, m.ReadStructured(t.Context(), nil))
			require.Equal(t, binding.ErrNotBinary, m.ReadBinary(t.Context(), nil))
		})
	}
}

// TestErrorsHoldNoValue: what is refused may be personal data.
func TestErrorsHoldNoValue(t *testing.T) {
	const secret = "u77012345678"
	for _, record := range []kafka.Message{
		message(someData, valid([2]string{"ce_time", secret})...),
		message(someData, valid([2]string{"ce_" + secret, "1"}, [2]string{"ce_" + secret, "2"})...),
		message(someData, valid([2]string{"ce_dataschema", ":" + secret})...),
		message(someData, valid([2]string{"content-type", secret + "/;"})...),
		message(`{"specversion":"1.0","id":"1","source":":`+secret+`","type":"t"}`, [2]string{"content-type", "application/cloudevents+json"}),
		message(`{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":5,"x":"`+secret+`"}`, [2]string{"content-type", "application/cloudevents+json"}),
		message(`{"specversion":"`+secret+`"}`, [2]string{"content-type", "application/cloudevents+json"}),
	} {
		_, err := cekafka.Decode(record)
		require.ErrorIs(t, err, cekafka.ErrMalformed)
		require.NotContains(t, err.Error(), secret)
	}
}
