package cesql

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// headers ranges over pairs of a name and a value.
func headers(pairs ...string) func(func(key, value []byte) bool) {
	return func(yield func(key, value []byte) bool) {
		for i := 0; i < len(pairs); i += 2 {
			if !yield([]byte(pairs[i]), []byte(pairs[i+1])) {
				return
			}
		}
	}
}

var withdrawal = headers(
	"ce_specversion", "1.0", "ce_id", "1", "ce_source", "/app/ios", "ce_type", "io.kelisim.consent.withdrawn.v1",
	"ce_subject", "u-1", "ce_purposes", "promotion,surveys", "content-type", "application/json",
)

func TestExpressionsPickEvents(t *testing.T) {
	for text, want := range map[string]bool{
		"type = 'io.kelisim.consent.withdrawn.v1'":          true,
		"type = 'io.kelisim.consent.granted.v1'":            false,
		"source LIKE '/app/%' AND purposes LIKE '%survey%'": true,
		"source LIKE '/web/%' OR id = '1'":                  true,
		"EXISTS evidence":                                   false,
		"evidence = 'x'":                                    false, // is missing
		"NOT EXISTS evidence":                               true,
		"LENGTH(subject)":                                   false, // is no answer
	} {
		f, err := Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, f.Match(withdrawal, []byte("{}")), text)
	}
}

func TestWhatIsNoEventIsNotPicked(t *testing.T) {
	f, err := Parse("TRUE")
	require.NoError(t, err)
	require.True(t, f.Match(withdrawal, []byte("{}")))
	require.False(t, f.Match(headers("other", "x"), []byte("{}")))
	require.False(t, f.Match(headers("ce_specversion", "1.0", "ce_id", "1", "ce_id", "2"), nil))
}

func TestWrongExpressionsAreRefused(t *testing.T) {
	for _, text := range []string{"", "type =", "type = 'x' AND", "NOSUCH(id)"} {
		_, err := Parse(text)
		require.ErrorContains(t, err, "CESQL: ", text)
	}
}
