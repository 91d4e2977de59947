package cloudevent

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

// activity is the headers of a good one, with some changed.
func activity(changes ...pair) []pair {
	return withdrawal(append([]pair{
		{"ce_type", ActivityType}, {"ce_purposes", "-"}, {"ce_method", "-"}, {"ce_evidence", "-"},
	}, changes...)...)
}

func TestAnActivityIsReadAsItWasWritten(t *testing.T) {
	s, err := events.ParseSubject(person)
	require.NoError(t, err)
	want := Activity{Subject: s, At: 1_795_000_000_123}
	m := EncodeActivity("1", "/player", want)
	var raw recordbatch.Headers
	for _, h := range m.Headers {
		raw = raw.Append(h.Key, h.Value)
	}
	got, err := DecodeActivity(&recordbatch.Record{Key: m.Key, Value: m.Value, Headers: raw})
	require.NoError(t, err)
	require.Equal(t, want, got)

	structured := `{"specversion":"1.0","id":"1","source":"/player","type":"io.kelisim.activity.v1","subject":"` + person +
		`","time":"2026-11-22T10:15:30.123Z","datacontenttype":"application/json","data":{}}`
	got, err = DecodeActivity(&recordbatch.Record{
		Value: []byte(structured), Headers: recordbatch.Headers{}.Append("content-type", []byte("application/cloudevents+json")),
	})
	require.NoError(t, err)
	require.Equal(t, s, got.Subject)
}

func TestWhatIsNoActivityIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		headers []pair
		reason  Reason
	}{
		"a decision":         {withdrawal(), UnknownType},
		"nobody's":           {activity(pair{"ce_subject", "-"}), MissingAttribute},
		"a telephone number": {activity(pair{"ce_subject", "77011234567"}), BadSubject},
		"at no time":         {activity(pair{"ce_time", "-"}), MissingAttribute},
		"no event at all":    {nil, "no-specversion"},
	} {
		_, err := DecodeActivity(&recordbatch.Record{Value: []byte("{}"), Headers: rawHeaders(c.headers)})
		var bad *MalformedError
		require.ErrorAs(t, err, &bad, name)
		require.Equal(t, string(c.reason), bad.Reason(), name)
		require.NotContains(t, err.Error(), "7701", name)
	}
}
