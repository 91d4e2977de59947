package cloudevent

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cekafka"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/schemas"
)

// requireEncodes: what was read can be written, and is then read as the same, whatever
// its data.
func requireEncodes(t tester, e *events.Event) stream.Message {
	t.Helper()
	m, err := Encoder{Rules: events.SeedRules(), AnyData: true}.Encode(e)
	require.NoError(t, err)
	back := events.Event{Logged: e.Logged}
	record := recordOfMessage(m)
	if e.Type == events.PolicyPublished {
		require.NoError(t, decoder().DecodePolicy(record, &back))
	} else {
		require.NoError(t, decoder().Decode(record, &back))
	}
	require.Equal(t, *e, back)
	requireLikeSDK(t, record)
	return m
}

// anyEvent draws a valid event of any type.
func anyEvent(rt *rapid.T) *events.Event {
	text := rapid.StringMatching(`[a-zA-Z0-9/._-]{1,20}`)
	stamp := rapid.Int64Range(1, 253_402_300_799_999)
	e := &events.Event{
		ID:      rapid.StringMatching(`[!-~қ]{1,40}`).Draw(rt, "id"),
		Source:  "/" + rapid.StringMatching(`[a-z0-9-]{1,20}`).Draw(rt, "source"),
		Type:    rapid.SampledFrom(events.Types()).Draw(rt, "type"),
		Decided: events.Millis(stamp.Draw(rt, "decided")),
		Data:    []byte(rapid.SampledFrom([]string{`{}`, details, " {\"a\":1}\n"}).Draw(rt, "data")),
	}
	has := func(p Presence, name string) bool {
		return p == Must || p == May && rapid.Bool().Draw(rt, name)
	}
	shape := ShapeOf(e.Type)
	if has(shape.Subject, "subject") {
		e.Subject, _ = events.ParseSubject(rapid.StringMatching(`[a-z][a-zA-Z0-9._:~-]{0,127}`).Draw(rt, "id of subject"))
	}
	if has(shape.Purposes, "purposes") {
		codes := rapid.SliceOfNDistinct(rapid.IntRange(1, 13), 1, 13, rapid.ID).Draw(rt, "codes")
		for _, c := range codes {
			e.Purposes |= events.SetOf(events.Code(c))
		}
	}
	if has(shape.Policy, "policy") {
		e.Policy = events.PolicyVersion(rapid.StringMatching(`[a-zA-Z0-9._-]{1,64}`).Draw(rt, "version"))
	}
	if has(shape.Method, "method") {
		e.Method = events.Method(rapid.IntRange(int(events.ByPerson), int(events.ContinuedUse)).Draw(rt, "how"))
	}
	if has(shape.Evidence, "evidence") {
		e.Evidence = "urn:" + rapid.StringMatching(`[a-z0-9-]{2,20}:[a-z0-9]{1,20}`).Draw(rt, "proof")
	}
	if has(shape.Request, "request") {
		e.ReviewBy = events.Millis(stamp.Draw(rt, "reviewby"))
		e.Ground = events.Ground(rapid.IntRange(int(events.LawForbids), int(events.ObligationUnfulfilled)).Draw(rt, "ground"))
		e.Reference = "https://adilet.zan.kz/" + rapid.StringMatching(`[a-zA-Z0-9/]{0,20}`).Draw(rt, "reference")
		e.Request = events.Ref{Source: text.Draw(rt, "requestsource"), ID: text.Draw(rt, "requestid")}
	}
	if has(shape.First, "first") {
		e.First = events.Stamp{
			Position: events.Position{
				Generation: rapid.Uint32().Draw(rt, "generation"),
				Partition:  rapid.Int32Min(0).Draw(rt, "partition"),
				Offset:     rapid.Int64Min(0).Draw(rt, "offset"),
			},
			Appended: events.Millis(stamp.Draw(rt, "appended")),
		}
	}
	return e
}

// TestEveryEventComesBack: what is encoded decodes to the same event, by the
// fast path, and is a CloudEvent to the SDK.
func TestEveryEventComesBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) { requireEncodes(rt, anyEvent(rt)) })
}

// TestEncodedRecordIsKeyedAndHasData, whatever the type.
func TestEncodedRecordIsKeyedAndHasData(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		e := anyEvent(rt)
		m := requireEncodes(rt, e)
		require.NotEmpty(rt, m.Key)
		require.NotEmpty(rt, m.Value)
		require.Equal(rt, stream.AnyPartition, m.Partition)
		got, err := cekafka.Decode(kafkaMessage(recordOfMessage(m)))
		require.NoError(rt, err)
		require.Equal(rt, string(m.Key), got.Extensions["partitionkey"])
	})
}

// TestEncodedHeaders are pinned: other languages read them.
func TestEncodedHeaders(t *testing.T) {
	var e events.Event
	require.NoError(t, decoder().Decode(recordOf(person, details, withdrawal(
		pair{"ce_firstposition", "1/17@40312"}, pair{"ce_firsttime", "2026-11-22T10:15:31.001Z"}, pair{"ce_policyversion", "2026-11"})), &e))
	m := requireEncodes(t, &e)
	var got []string
	for _, h := range m.Headers {
		got = append(got, h.Key+": "+string(h.Value))
	}
	require.Equal(t, []string{
		"ce_specversion: 1.0",
		"ce_id: 0198c5a0-53a4-7c3e-9d0f-3f8d2f0a9c11",
		"ce_source: /preference-centre",
		"ce_type: io.kelisim.consent.withdrawn.v1",
		"content-type: application/json",
		"ce_time: 2026-11-22T10:15:30.123Z",
		"ce_subject: u-7f1c9b52",
		"ce_partitionkey: u-7f1c9b52",
		"ce_purposes: promotion,research",
		"ce_policyversion: 2026-11",
		"ce_method: person",
		"ce_evidence: urn:kelisim:evidence:81",
		"ce_firstposition: 1/17@40312",
		"ce_firsttime: 2026-11-22T10:15:31.001Z",
	}, got)
}

// TestTextThatIsNotUTF8IsNamed, also where nothing but a person reads it.
func TestTextThatIsNotUTF8IsNamed(t *testing.T) {
	const broken = "urn:a:\xff"
	for name, spoil := range map[string]func(*events.Event){
		"evidence":      func(e *events.Event) { e.Evidence = broken },
		"reference":     func(e *events.Event) { e.Reference = broken },
		"requestsource": func(e *events.Event) { e.Request.Source = broken },
		"requestid":     func(e *events.Event) { e.Request.ID = broken },
	} {
		var e events.Event
		require.NoError(t, decoder().Decode(recordOf(person, details, withdrawal(refusal()...)), &e))
		spoil(&e)
		_, err := Encoder{Rules: events.SeedRules(), Data: schemas.Data}.Encode(&e)
		require.EqualError(t, err, "encode io.kelisim.withdrawal.refused.v1: malformed event: utf8 of "+name)
	}
}

// TestEncodeRefusesWhatNobodyCouldRead, or would read as another event.
func TestEncodeRefusesWhatNobodyCouldRead(t *testing.T) {
	good := func() events.Event {
		var e events.Event
		require.NoError(t, decoder().Decode(recordOf(person, details, withdrawal()), &e))
		return e
	}
	refuses := func(e *events.Event) {
		e.Type, e.Request, e.ReviewBy = events.WithdrawalRefused, events.Ref{Source: "/s", ID: "1"}, 1
		e.Ground, e.Reference = events.LawForbids, "urn:kelisim:law:7"
	}
	cases := []struct {
		name   string
		spoil  func(*events.Event)
		reason Reason
	}{
		{"no id", func(e *events.Event) { e.ID = "" }, cekafka.BadValue},
		{"id with a blank behind", func(e *events.Event) { e.ID += " " }, cekafka.BadValue},
		{"id not UTF-8", func(e *events.Event) { e.ID = "\xff" }, cekafka.BadValue},
		{"no source", func(e *events.Event) { e.Source = "" }, cekafka.BadValue},
		{"source that is read as another", func(e *events.Event) { e.Source = "/a b" }, cekafka.BadValue},
		{"no type", func(e *events.Event) { e.Type = 0 }, UnknownType},
		{"no subject", func(e *events.Event) { e.Subject = events.Subject{} }, MissingAttribute},
		{"no time", func(e *events.Event) { e.Decided = 0 }, cekafka.BadValue},
		{"after the year 9999", func(e *events.Event) { e.Decided = 253_402_300_800_000 }, cekafka.BadValue},
		{"no purposes", func(e *events.Event) { e.Purposes = 0 }, MissingAttribute},
		{"a purpose without a name", func(e *events.Event) { e.Purposes |= events.SetOf(63) }, UnknownPurpose},
		{"nothing but a purpose without a name", func(e *events.Event) { e.Purposes = events.SetOf(63) }, UnknownPurpose},
		{"policy version with a blank", func(e *events.Event) { e.Policy = "of today" }, cekafka.BadValue},
		{"policy version too long", func(e *events.Event) { e.Policy = events.PolicyVersion(strings.Repeat("v", 65)) }, cekafka.BadValue},
		{"a request", func(e *events.Event) { e.Request = events.Ref{Source: "/s", ID: "1"} }, ExtraAttribute},
		{"a request that is not UTF-8", func(e *events.Event) {
			refuses(e)
			e.Request.ID = "\xff"
		}, cekafka.BadUTF8},
		{"half a request", func(e *events.Event) {
			refuses(e)
			e.Request.Source = ""
		}, cekafka.BadValue},
		{"a refusal without a ground", func(e *events.Event) { refuses(e); e.Ground = 0 }, MissingAttribute},
		{"a refusal on a ground without a name", func(e *events.Event) { refuses(e); e.Ground = 99 }, cekafka.BadValue},
		{"a refusal without a reference", func(e *events.Event) { refuses(e); e.Reference = "" }, MissingAttribute},
		{"a refusal that refers to nothing", func(e *events.Event) { refuses(e); e.Reference = "the contract" }, cekafka.BadValue},
		{"a refusal that refers to what is not UTF-8", func(e *events.Event) { refuses(e); e.Reference = "urn:law:\xff" }, cekafka.BadUTF8},
		{"a refusal without a review", func(e *events.Event) { refuses(e); e.ReviewBy = 0 }, MissingAttribute},
		{"a ground on a withdrawal", func(e *events.Event) { e.Ground = events.LawForbids }, ExtraAttribute},
		{"half a stamp", func(e *events.Event) { e.First.Position.Offset = 1 }, cekafka.BadValue},
		{"a method without a name", func(e *events.Event) { e.Method = 99 }, cekafka.BadValue},
		{"a grant that does not say how it came about", func(e *events.Event) { e.Type, e.Policy, e.Method = events.Granted, "2026-11", 0 }, MissingAttribute},
		{"a grant without evidence", func(e *events.Event) { e.Type, e.Policy, e.Evidence = events.Granted, "2026-11", "" }, MissingAttribute},
		{"no data", func(e *events.Event) { e.Data = nil }, NoData},
		{"empty data", func(e *events.Event) { e.Data = []byte{} }, NoData},
		{"null", func(e *events.Event) { e.Data = []byte("null") }, DataNotObject},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := good()
			c.spoil(&e)
			_, err := Encoder{Rules: events.SeedRules(), Data: schemas.Data}.Encode(&e)
			requireReason(t, c.reason, err)
		})
	}
}
