package cloudevent

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelisim/kelisim/events"
)

func requireLikeParse(t testing.TB, text string) {
	t.Helper()
	want, err := time.Parse(time.RFC3339Nano, text)
	got, ok := parseTime(text)
	require.Equal(t, err == nil, ok, "%q: %v", text, err)
	if ok {
		require.Equal(t, events.MillisOf(want), got.at, text)
		require.Equal(t, want.IsZero(), got.zero, text)
	}
}

// TestTimesAreReadLikeTimeParse where the two could differ.
func TestTimesAreReadLikeTimeParse(t *testing.T) {
	for _, text := range []string{
		"", "Z", "2026-11-22T10:15:30", "2026-11-22T10:15:30Z", "2026-11-22T10:15:30.Z", "2026-11-22T10:15:30.1Z",
		"2026-11-22T10:15:30.123456789Z", "2026-11-22T10:15:30.1234567891Z", "2026-11-22T10:15:30,5Z", "2026-11-22T10:15:30.12x4Z",
		"2026-11-22T10:15:30z", "2026-11-22t10:15:30Z", "2026-11-22 10:15:30Z", "2026-11-22T1:15:30Z", "2026-11-22T010:15:30Z",
		"2026-11-22T24:00:00Z", "2026-11-22T23:60:00Z", "2026-11-22T23:59:60Z", "2026-11-22T23:59:59Z",
		"2026-00-10T00:00:00Z", "2026-13-10T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z", "2026-04-31T00:00:00Z",
		"2024-02-29T00:00:00Z", "2026-02-29T00:00:00Z", "2000-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2100-02-28T23:59:59.999Z",
		"0000-01-01T00:00:00Z", "0000-02-29T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000001Z", "9999-12-31T23:59:59.999999999Z",
		"0001-01-01T05:00:00+05:00", "1969-12-31T23:59:59.9999Z", "1970-01-01T00:00:00Z",
		"2026-11-22T10:15:30+05:00", "2026-11-22T10:15:30.123456789-11:30", "2026-11-22T10:15:30+5:00", "2026-11-22T10:15:30+24:00", "2026-11-22T10:15:30+0500",
		"-026-11-22T10:15:30Z", "2O26-11-22T10:15:30Z", "2026-11-22T10:15:3\xb0Z", "٢٠٢٦-11-22T10:15:30Z",
	} {
		requireLikeParse(t, text)
	}
	for day := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 10_000; day = day.AddDate(0, 0, 13) {
		requireLikeParse(t, day.Format(time.RFC3339))
	}
}

// TestTimesComeBack for every millisecond that can be written.
func TestTimesComeBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := events.Millis(rapid.Int64Range(1, 253_402_300_799_999).Draw(rt, "millis"))
		got, ok := parseTime(string(appendTime(nil, want)))
		require.True(rt, ok)
		require.Equal(rt, want, got.at)
	})
}

// FuzzTime: no more and no less than time.Parse.
func FuzzTime(f *testing.F) {
	f.Add("2026-11-22T10:15:30.123Z")
	f.Add("0001-01-01T00:00:00Z")
	f.Add("2026-11-22T10:15:30+05:00")
	f.Fuzz(func(t *testing.T, text string) { requireLikeParse(t, text) })
}
