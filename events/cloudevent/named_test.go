package cloudevent

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

// behind is a withdrawal whose headers stand behind others.
func behind(others ...pair) []pair { return append(others, withdrawal()...) }

// A broken record still tells whom it is about, under whatever key it came.
func TestBrokenRecordNamesItsPerson(t *testing.T) {
	null := recordOf("order-4711", "", withdrawal())
	null.Value = nil
	keyless := recordOf("", details, withdrawal())
	keyless.Key = nil
	inStructured := []pair{{"content-type", "application/cloudevents+json"}}
	for name, c := range map[string]struct {
		record *recordbatch.Record
		named  bool
	}{
		"another key":               {recordOf("order-4711", details, withdrawal()), true},
		"no key":                    {keyless, true},
		"an empty key":              {recordOf("", details, withdrawal()), true},
		"another key and no value":  {null, true},
		"another key, structured":   {recordOf("order-4711", structured+`,"data":{}}`, inStructured), true},
		"a missing attribute":       {recordOf("order-4711", details, withdrawal(pair{"ce_purposes", "-"})), true},
		"an unknown purpose":        {recordOf("order-4711", details, withdrawal(pair{"ce_purposes", "astrology"})), true},
		"an unknown type":           {recordOf("order-4711", details, withdrawal(pair{"ce_type", "io.kelisim.x.v9"})), true},
		"no type at all":            {recordOf("order-4711", details, withdrawal(pair{"ce_type", "-"})), true},
		"not UTF-8, in front of it": {recordOf("order-4711", details, behind(pair{"ce_note", "\xff"})), true},
		"twice, in front of it":     {recordOf("order-4711", details, behind(pair{"ce_note", "a"}, pair{"ce_note", "b"})), true},
		"no name, in front of it":   {recordOf("order-4711", "", behind(pair{"ce_no-te", "a"})), true},
		"in front, in another case": {recordOf("order-4711", details, append([]pair{{"ce_note", "\xff"}, {"CE_Subject", person}}, withdrawal(pair{"ce_subject", "-"})...)), true},
		"data that is no object":    {recordOf("order-4711", "[]", withdrawal()), true},
		"nobody":                    {recordOf("order-4711", details, withdrawal(pair{"ce_subject", "-"})), false},
		"a number that may be dial": {recordOf("order-4711", details, withdrawal(pair{"ce_subject", "77012345678"})), false},
	} {
		t.Run(name, func(t *testing.T) {
			other, err := events.ParseSubject("left-from-before")
			require.NoError(t, err)
			e := events.Event{Subject: other}
			require.ErrorIs(t, decoder().Decode(c.record, &e), ErrMalformed)
			if !c.named {
				require.True(t, e.Subject.IsZero())
				return
			}
			require.Equal(t, person, e.Subject.Reveal())
		})
	}
}
