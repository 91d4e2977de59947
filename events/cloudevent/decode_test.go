package cloudevent

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cekafka"
	"github.com/kelisim/kelisim/events/stream/recordbatch"
	"github.com/kelisim/kelisim/schemas"
)

const structured = `{"specversion":"1.0","id":"0198c5a0-53a4-7c3e-9d0f-3f8d2f0a9c11","source":"/preference-centre",` +
	`"type":"io.kelisim.consent.withdrawn.v1","datacontenttype":"application/json","time":"2026-11-22T10:15:30.123Z",` +
	`"subject":"u-7f1c9b52","partitionkey":"u-7f1c9b52","purposes":"promotion,research","method":"person","evidence":"urn:kelisim:evidence:81"`

// TestWithdrawalIsReadInBothModes: the same event.
func TestWithdrawalIsReadInBothModes(t *testing.T) {
	subject, err := events.ParseSubject(person)
	require.NoError(t, err)
	set, err := events.SeedRules().Set("promotion", "research")
	require.NoError(t, err)
	want := events.Event{
		Method: events.ByPerson, ID: "0198c5a0-53a4-7c3e-9d0f-3f8d2f0a9c11", Source: "/preference-centre", Type: events.Withdrawn,
		Subject: subject, Decided: 1_795_342_530_123, Purposes: set, Evidence: "urn:kelisim:evidence:81", Data: []byte(details),
		Logged: events.Stamp{Appended: 7},
	}
	for name, record := range map[string]*recordbatch.Record{
		"binary":     recordOf(person, details, withdrawal()),
		"structured": recordOf(person, structured+`,"data":`+details+`}`, []pair{{"content-type", "application/cloudevents+json"}}),
	} {
		t.Run(name, func(t *testing.T) {
			// What stood in e before must not shine through; Logged is the caller's.
			got := events.Event{Policy: "v9", Request: events.Ref{Source: "s", ID: "i"}, First: events.Stamp{Appended: 1}, Logged: events.Stamp{Appended: 7}}
			require.NoError(t, decoder().Decode(record, &got))
			require.Equal(t, want, got)
		})
	}
}

// TestDecidedAnswers is the table of the package comment, and what package
// cekafka has decided, for the fast path.
func TestDecidedAnswers(t *testing.T) {
	const type_ = "io.kelisim."
	cases := []struct {
		name    string
		changes []pair
		want    Reason
	}{
		// CloudEvents
		{"good", nil, ""},
		{"upper-case header names", []pair{{"ce_id", "-"}, {"CE_ID", "1"}, {"content-type", "-"}, {"Content-Type", "application/json"}, {"ce_purposes", "-"}, {"Ce_Purposes", "promotion"}}, ""},
		{"no specversion", []pair{{"ce_specversion", "-"}}, cekafka.NoSpecVersion},
		{"specversion 0.3", []pair{{"ce_specversion", "0.3"}}, cekafka.SpecVersion},
		{"specversion 1.1", []pair{{"ce_specversion", "1.1"}}, cekafka.SpecVersion},
		{"no id", []pair{{"ce_id", "-"}}, MissingAttribute},
		{"empty id", []pair{{"ce_id", " "}}, cekafka.BadValue},
		{"no source", []pair{{"ce_source", "-"}}, MissingAttribute},
		{"empty source", []pair{{"ce_source", ""}}, cekafka.BadValue},
		{"source that is no URI reference", []pair{{"ce_source", "%zz"}}, cekafka.BadValue},
		{"no type", []pair{{"ce_type", "-"}}, MissingAttribute},
		{"empty type", []pair{{"ce_type", ""}}, cekafka.BadValue},
		{"time with offset and nanoseconds", []pair{{"ce_time", "2026-11-22T15:15:30.123456789+05:00"}}, ""},
		{"time without a zone", []pair{{"ce_time", "2026-11-22T15:15:30"}}, cekafka.BadValue},
		{"duplicate attribute", []pair{{"CE_id", "2"}}, cekafka.DuplicateAttribute},
		{"duplicate extension", []pair{{"ce_extension", "1"}, {"CE_extension", "1"}}, cekafka.DuplicateAttribute},
		{"duplicate content type", []pair{{"Content-Type", "application/json"}}, cekafka.DuplicateAttribute},
		{"content-type and equal ce_datacontenttype", []pair{{"ce_datacontenttype", "application/json"}}, ""},
		{"content-type and other ce_datacontenttype", []pair{{"ce_datacontenttype", "text/json"}}, cekafka.ContentTypeConflict},
		{"ce_datacontenttype alone", []pair{{"content-type", "-"}, {"ce_datacontenttype", "application/json"}}, ""},
		{"unknown extension", []pair{{"ce_traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}, ""},
		{"header of others, not UTF-8, twice", []pair{{"x", "\xff"}, {"X", "\xff"}}, ""},
		{"attribute not UTF-8", []pair{{"ce_id", "\xff"}}, cekafka.BadUTF8},
		{"unknown extension not UTF-8", []pair{{"ce_extension", "\xff"}}, cekafka.BadUTF8},
		{"attribute in UTF-8", []pair{{"ce_id", "қ"}}, ""},
		{"bad name", []pair{{"ce_trace-parent", "1"}}, cekafka.BadName},
		{"dataschema", []pair{{"ce_dataschema", "https://kelisim.io/schemas/x.json"}}, ""},
		{"dataschema not absolute", []pair{{"ce_dataschema", "x.json"}}, cekafka.BadValue},

		// Kelisim
		{"no time", []pair{{"ce_time", "-"}}, MissingAttribute},
		{"the zero time", []pair{{"ce_time", "0001-01-01T00:00:00Z"}}, MissingAttribute},
		{"before 1970", []pair{{"ce_time", "1969-12-31T23:59:59.999Z"}}, cekafka.BadValue},
		{"no content type", []pair{{"content-type", "-"}}, MissingAttribute},
		{"JSON with a charset", []pair{{"content-type", "application/json; charset=UTF-8"}}, ""},
		{"JSON in another charset", []pair{{"content-type", "application/json; charset=utf-16"}}, NotJSON},
		{"not JSON", []pair{{"content-type", "text/plain"}}, NotJSON},
		{"unknown type", []pair{{"ce_type", type_ + "consent.granted.v2"}}, UnknownType},
		{"no subject", []pair{{"ce_subject", "-"}}, MissingAttribute},
		{"empty subject", []pair{{"ce_subject", ""}}, MissingAttribute},
		{"a telephone number as subject", []pair{{"ce_subject", "77012345678"}}, BadSubject},
		{"an address as subject", []pair{{"ce_subject", "a@b.kz"}}, BadSubject},
		{"no partitionkey", []pair{{"ce_partitionkey", "-"}}, MissingAttribute},
		{"partitionkey is not the subject", []pair{{"ce_partitionkey", "u-other"}}, KeyMismatch},
		{"key is not the partitionkey", []pair{{"ce_partitionkey", "u-other"}, {"ce_subject", "u-other"}}, KeyMismatch},
		{"no purposes", []pair{{"ce_purposes", "-"}}, MissingAttribute},
		{"empty purposes", []pair{{"ce_purposes", ""}}, UnknownPurpose},
		{"one purpose unknown", []pair{{"ce_purposes", "promotion,astrology"}}, UnknownPurpose},
		{"purposes with a space", []pair{{"ce_purposes", "promotion, research"}}, UnknownPurpose},
		{"purposes with a comma too many", []pair{{"ce_purposes", "promotion,"}}, UnknownPurpose},
		{"a purpose twice", []pair{{"ce_purposes", "promotion,promotion"}}, cekafka.BadValue},
		{"policyversion on a withdrawal", []pair{{"ce_policyversion", "2026-11"}}, ""},
		{"policyversion with a blank", []pair{{"ce_policyversion", "of today"}}, cekafka.BadValue},
		{"empty policyversion", []pair{{"ce_policyversion", ""}}, cekafka.BadValue},
		{"request on a withdrawal", []pair{{"ce_requestid", "1"}, {"ce_requestsource", "/s"}}, ExtraAttribute},
		{"grant without policyversion", []pair{{"ce_type", type_ + "consent.granted.v1"}}, MissingAttribute},
		{"grant", []pair{{"ce_type", type_ + "consent.granted.v1"}, {"ce_policyversion", "2026-11"}}, ""},
		{"refusal", refusal(), ""},
		{"refusal by the law", refusal(pair{"ce_ground", "law"}), ""},
		{"refusal without anything of its own", []pair{{"ce_type", type_ + "withdrawal.refused.v1"}}, MissingAttribute},
		{"refusal without its request", refusal(pair{"ce_requestid", "-"}, pair{"ce_requestsource", "-"}), MissingAttribute},
		{"refusal with half of its request", refusal(pair{"ce_requestsource", "-"}), MissingAttribute},
		{"refusal with an empty request", refusal(pair{"ce_requestid", ""}), cekafka.BadValue},
		{"refusal without a ground", refusal(pair{"ce_ground", "-"}), MissingAttribute},
		{"refusal on a ground that is none", refusal(pair{"ce_ground", "convenience"}), cekafka.BadValue},
		{"refusal on an empty ground", refusal(pair{"ce_ground", ""}), cekafka.BadValue},
		{"refusal without a reference", refusal(pair{"ce_reference", "-"}), MissingAttribute},
		{"refusal with an empty reference", refusal(pair{"ce_reference", ""}), cekafka.BadValue},
		{"refusal with a reference that points nowhere", refusal(pair{"ce_reference", "the contract"}), cekafka.BadValue},
		{"refusal without a review", refusal(pair{"ce_reviewby", "-"}), MissingAttribute},
		{"refusal to be reviewed some day", refusal(pair{"ce_reviewby", "soon"}), cekafka.BadValue},
		{"a ground on a withdrawal", []pair{{"ce_ground", "law"}}, ExtraAttribute},
		{"a reference on a withdrawal", []pair{{"ce_reference", "urn:kelisim:law:7"}}, ExtraAttribute},
		{"grant that does not say how it came about", []pair{{"ce_type", type_ + "consent.granted.v1"}, {"ce_policyversion", "2026-11"}, {"ce_method", "-"}}, MissingAttribute},
		{"grant by a method of the future", []pair{{"ce_type", type_ + "consent.granted.v1"}, {"ce_policyversion", "2026-11"}, {"ce_method", "telepathy"}}, ""},
		{"grant without evidence", []pair{{"ce_type", type_ + "consent.granted.v1"}, {"ce_policyversion", "2026-11"}, {"ce_evidence", "-"}}, MissingAttribute},
		{"grant with evidence that points nowhere", []pair{{"ce_type", type_ + "consent.granted.v1"}, {"ce_policyversion", "2026-11"}, {"ce_evidence", "the file"}}, cekafka.BadValue},
		{"withdrawal that proves nothing", []pair{{"ce_method", "-"}, {"ce_evidence", "-"}}, ""},
		{"withdrawal with evidence that points nowhere", []pair{{"ce_evidence", "the file"}}, ""},
		{"block of everything", []pair{{"ce_type", type_ + "processing.blocked.v1"}, {"ce_purposes", "-"}}, ""},
		{"unblock of an empty list", []pair{{"ce_type", type_ + "processing.unblocked.v1"}, {"ce_purposes", ""}}, UnknownPurpose},
		{"purposes on an erasure", []pair{{"ce_type", type_ + "subject.erased.v1"}}, ExtraAttribute},
		{"erasure", []pair{{"ce_type", type_ + "subject.erased.v1"}, {"ce_purposes", "-"}}, ""},
		{"redriven", []pair{{"ce_firstposition", "1/17@40312"}, {"ce_firsttime", "2026-11-22T10:15:31.001Z"}}, ""},
		{"redriven, half", []pair{{"ce_firstposition", "1/17@40312"}}, MissingAttribute},
		{"redriven from nowhere", []pair{{"ce_firstposition", "1/-1@2"}, {"ce_firsttime", "2026-11-22T10:15:31.001Z"}}, cekafka.BadValue},
		{"redriven before time", []pair{{"ce_firstposition", "1/1@2"}, {"ce_firsttime", "yesterday"}}, cekafka.BadValue},
		{"policy among events", []pair{{"ce_type", type_ + "policy.published.v1"}, {"ce_subject", "-"}, {"ce_method", "-"}, {"ce_evidence", "-"}, {"ce_purposes", "-"}, {"ce_policyversion", person}}, OtherTopic},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var e events.Event
			requireReason(t, c.want, decoder().Decode(recordOf(person, details, withdrawal(c.changes...)), &e))
		})
	}
}

// TestAllThatIsMissingIsNamed, so that a producer is mended once and not attribute by
// attribute; and all that must not be there.
func TestAllThatIsMissingIsNamed(t *testing.T) {
	const granted = "io.kelisim.consent.granted.v1"
	for want, changes := range map[string][]pair{
		"policyversion, method, evidence":                           {{"ce_type", granted}, {"ce_method", "-"}, {"ce_evidence", "-"}},
		"subject, time, partitionkey":                               {{"ce_subject", "-"}, {"ce_time", ""}, {"ce_time", "-"}, {"ce_partitionkey", "-"}},
		"requestsource, requestid, ground, reference, reviewby":     {{"ce_type", "io.kelisim.withdrawal.refused.v1"}},
		"id, source, type":                                          {{"ce_id", "-"}, {"ce_source", "-"}, {"ce_type", "-"}},
		"firsttime":                                                 {{"ce_firstposition", "1/1@2"}},
		"requestsource, requestid, ground, reference (not allowed)": {{"ce_requestid", "1"}, {"ce_requestsource", "/s"}, {"ce_ground", "law"}, {"ce_reference", "urn:a:b"}},
	} {
		var e events.Event
		err := decoder().Decode(recordOf(person, details, withdrawal(changes...)), &e)
		var bad *MalformedError
		require.ErrorAs(t, err, &bad)
		names, extra := strings.CutSuffix(want, " (not allowed)")
		require.Equal(t, names, bad.Attribute())
		if extra {
			require.EqualError(t, err, "malformed event: extra-attribute of "+names)
		} else {
			require.EqualError(t, err, "malformed event: missing-attribute of "+names)
		}
	}

	var e events.Event
	require.NoError(t, decoder().Decode(recordOf(person, details, withdrawal()), &e))
	e.Type, e.Method, e.Evidence = events.Granted, 0, ""
	_, err := Encoder{Rules: events.SeedRules(), Data: schemas.Data}.Encode(&e)
	require.EqualError(t, err, "encode "+granted+": malformed event: missing-attribute of policyversion, method, evidence")
}

// TestDataIsAnObjectOrRefused, in both modes.
func TestDataIsAnObjectOrRefused(t *testing.T) {
	inStructured := []pair{{"content-type", "application/cloudevents+json; charset=utf-8"}}
	null, empty := recordOf(person, "", withdrawal()), recordOf(person, "", withdrawal())
	null.Value, empty.Value = nil, []byte{}
	nullStructured := recordOf(person, "", inStructured)
	nullStructured.Value = nil
	cases := []struct {
		name   string
		record *recordbatch.Record
		want   Reason
	}{
		{"null value", null, NullValue},
		{"null value, structured", nullStructured, NullValue},
		{"empty value", empty, NoData},
		{"empty value, structured", recordOf(person, "", inStructured), cekafka.JSON},
		{"blank value", recordOf(person, " \n", withdrawal()), NoData},
		{"object with blanks around", recordOf(person, " {}\n", withdrawal()), ""},
		{"null", recordOf(person, "null", withdrawal()), DataNotObject},
		{"array", recordOf(person, "[{}]", withdrawal()), DataNotObject},
		{"one brace", recordOf(person, "{", withdrawal()), DataNotObject},
		{"schema registry prefix", recordOf(person, "\x00\x00\x00\x00\x01{}", withdrawal()), DataNotObject},
		{"structured without data", recordOf(person, structured+`}`, inStructured), NoData},
		{"structured with null", recordOf(person, structured+`,"data":null}`, inStructured), DataNotObject},
		{"structured with an array", recordOf(person, structured+`,"data":[]}`, inStructured), DataNotObject},
		{"structured with a string", recordOf(person, structured+`,"data":"{}"}`, inStructured), DataNotObject},
		{"structured with an object", recordOf(person, structured+`,"data": {} }`, inStructured), ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var e events.Event
			requireReason(t, c.want, decoder().Decode(c.record, &e))
		})
	}
}

// TestKeyIsTheSubject in both modes, whatever the header says.
func TestKeyIsTheSubject(t *testing.T) {
	inStructured := []pair{{"content-type", "application/cloudevents+json"}, {"ce_partitionkey", "u-other"}}
	var e events.Event
	requireReason(t, KeyMismatch, decoder().Decode(recordOf("u-other", details, withdrawal()), &e))
	requireReason(t, KeyMismatch, decoder().Decode(recordOf("u-other", structured+`,"data":{}}`, inStructured), &e))
	requireReason(t, "", decoder().Decode(recordOf(person, structured+`,"data":{}}`, inStructured), &e))
	keyless := recordOf("", details, withdrawal())
	keyless.Key = nil
	requireReason(t, KeyMismatch, decoder().Decode(keyless, &e))
}

// TestStructuredModeGoesByTheContentTypeAlone: broken binary headers beside it
// are not part of the event.
func TestStructuredModeGoesByTheContentTypeAlone(t *testing.T) {
	value := structured + `,"data":{}}`
	var e events.Event
	for name, headers := range map[string][]pair{
		"bad name before":  {{"ce_!", "x"}, {"content-type", "application/cloudevents+json"}},
		"duplicate before": {{"ce_id", "1"}, {"ce_id", "2"}, {"Content-Type", "APPLICATION/CLOUDEVENTS+json"}},
		"not UTF-8 behind": {{"content-type", "application/cloudevents+json"}, {"ce_id", "\xff"}},
		"another id":       {{"ce_specversion", "0.3"}, {"ce_id", "other"}, {"content-type", "application/cloudevents+json"}},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, decoder().Decode(recordOf(person, value, headers), &e))
			require.Equal(t, "0198c5a0-53a4-7c3e-9d0f-3f8d2f0a9c11", e.ID)
		})
	}
	lacking := strings.Replace(value, `,"purposes":"promotion,research"`, "", 1)
	beside := []pair{{"ce_purposes", "surveys"}, {"content-type", "application/cloudevents+json"}}
	requireReason(t, MissingAttribute, decoder().Decode(recordOf(person, lacking, beside), &e))
	twice := []pair{{"content-type", "application/cloudevents+json"}, {"content-type", "application/cloudevents+json"}}
	requireReason(t, cekafka.DuplicateAttribute, decoder().Decode(recordOf(person, value, twice), &e))
	old := []pair{{"content-type", "application/cloudevents+json"}}
	requireReason(t, cekafka.SpecVersion, decoder().Decode(recordOf(person, `{"specversion":"0.3","id":"1","source":"/s","type":"t"}`, old), &e))
}

// TestPolicyHasNoSubjectAndItsOwnTopic.
func TestPolicyHasNoSubjectAndItsOwnTopic(t *testing.T) {
	headers := withdrawal(pair{"ce_type", "io.kelisim.policy.published.v1"}, pair{"ce_subject", "-"}, pair{"ce_method", "-"}, pair{"ce_evidence", "-"}, pair{"ce_purposes", "-"},
		pair{"ce_policyversion", "2026-11"}, pair{"ce_partitionkey", "2026-11"})
	var e events.Event
	require.NoError(t, decoder().DecodePolicy(recordOf("2026-11", `{"purposes":[]}`, headers), &e))
	require.Equal(t, events.PolicyVersion("2026-11"), e.Policy)
	require.True(t, e.Subject.IsZero())
	requireReason(t, OtherTopic, decoder().Decode(recordOf("2026-11", `{}`, headers), &e))
	requireReason(t, KeyMismatch, decoder().DecodePolicy(recordOf("2026-10", `{}`, headers), &e))
	requireReason(t, OtherTopic, decoder().DecodePolicy(recordOf(person, details, withdrawal()), &e))
}

// TestZeroDecoderKnowsNoPurpose: it refuses and does not panic.
func TestZeroDecoderKnowsNoPurpose(t *testing.T) {
	var e events.Event
	requireReason(t, UnknownPurpose, Decoder{}.Decode(recordOf(person, details, withdrawal()), &e))
}

// TestErrorsHoldNoValue: what is refused may be personal data.
func TestErrorsHoldNoValue(t *testing.T) {
	const secret = "77012345678"
	for _, h := range withdrawal() {
		for _, value := range []string{secret, "\xff" + secret, secret + "/;"} {
			var e events.Event
			if err := decoder().Decode(recordOf(person, details, withdrawal(pair{h[0], value})), &e); err != nil {
				require.NotContains(t, err.Error(), secret)
			}
		}
	}
	var e events.Event
	err := decoder().Decode(recordOf(person, details, withdrawal(pair{"ce_" + secret, "\xff"})), &e)
	require.Error(t, err)
	require.NotContains(t, err.Error(), secret)
}

// TestSlotsAreFoundByTheirHeaders keeps the two tables of names in step.
func TestSlotsAreFoundByTheirHeaders(t *testing.T) {
	for s := range slots {
		got, known := slotOf([]byte(s.header()))
		require.True(t, known, s.header())
		require.Equal(t, s, got)
		require.True(t, cekafka.ValidName(s.String()), s.String())
	}
	require.Equal(t, []string{"partitionkey", "purposes", "policyversion", "method", "evidence", "requestsource", "requestid", "ground", "reference", "reviewby", "firstposition", "firsttime"}, Extensions())
}
