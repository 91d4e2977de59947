package moment_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/oncall/moment"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestADurationIsAgoWhicheverWayItIsSaid(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2h": now.Add(-2 * time.Hour), "-2h": now.Add(-2 * time.Hour), "0s": now,
		"2026-11-22T10:00:00Z": now.Add(-2 * time.Hour), "2026-11-22T15:00:00+05:00": now.Add(-2 * time.Hour),
	} {
		at, err := moment.Parse(text, now)
		require.NoError(t, err, text)
		require.True(t, at.Equal(want), "%s is %v", text, at)
	}
}

func TestNobodyLooksAtWhatIsStillToCome(t *testing.T) {
	_, err := moment.Parse("2026-11-22T12:00:01Z", now)
	require.EqualError(t, err, `"2026-11-22T12:00:01Z": is still to come`)
}

func TestOtherWordsAreNoMoment(t *testing.T) {
	for _, text := range []string{"", "yesterday", "2", "2026-11-22"} {
		_, err := moment.Parse(text, now)
		require.ErrorContains(t, err, "want a time like", text)
	}
}
