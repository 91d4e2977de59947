package policy

import (
	"archive/zip"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func day(t require.TestingT, text string) Date {
	d, err := ParseDate(text)
	require.NoError(t, err)
	return d
}

func utc(t require.TestingT, text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return at.UTC()
}

// Kazakhstan left +06 for +05 on 1 March 2024 at midnight: until then a day of
// Almaty begins at 18:00 UTC, from then on at 19:00.
func TestUseAcceptsAfterSevenFullDaysInAlmaty(t *testing.T) {
	for _, c := range []struct{ name, published, from string }{
		{"before the offset changed", "2024-02-01", "2024-02-08T18:00:00Z"},
		{"last day at +06", "2024-02-21", "2024-02-28T18:00:00Z"},
		{"first day at +05", "2024-02-22", "2024-02-29T19:00:00Z"},
		{"the day after", "2024-02-23", "2024-03-01T19:00:00Z"},
		{"today's offset", "2026-11-01", "2026-11-08T19:00:00Z"},
		{"over the end of a year", "2026-12-28", "2027-01-04T19:00:00Z"},
	} {
		published, from := day(t, c.published), utc(t, c.from)
		require.Equal(t, from, DeemedFrom(published).UTC(), c.name)
		require.True(t, DeemedBy(published, from), c.name)
		require.False(t, DeemedBy(published, from.Add(-time.Nanosecond)), c.name)
	}
}

func TestSilenceNeverAccepts(t *testing.T) {
	require.False(t, DeemedBy(day(t, "2024-02-01"), time.Time{}))
	require.False(t, DeemedBy(Date{}, utc(t, "2030-01-01T00:00:00Z")), "nothing was published")
}

func TestDayIsThatOfAlmaty(t *testing.T) {
	require.Equal(t, "2024-02-29", DateOf(utc(t, "2024-02-29T17:59:59Z")).String())
	require.Equal(t, "2024-02-29", DateOf(utc(t, "2024-02-29T18:30:00Z")).String(), "the hour that came twice")
	require.Equal(t, "2024-03-01", DateOf(utc(t, "2024-02-29T19:00:00Z")).String())
	for _, bad := range []string{"", "2026-2-1", "2026-02-29", "01.02.2026", "2026-02-01T00:00:00Z"} {
		_, err := ParseDate(bad)
		require.Error(t, err, bad)
	}
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "at"), 0)
		d := DateOf(at)
		require.Equal(t, d, day(t, d.String()))
		require.False(t, at.Before(d.Start()))
		require.True(t, at.Before(d.Add(1).Start()))
		require.Equal(t, -1, d.Compare(d.Add(1)))
	})
}

func TestDataIsKeptInWholeYearsOfAlmaty(t *testing.T) {
	for _, c := range []struct{ name, ended, keep, due string }{
		{"three years", "2026-11-23T05:00:00Z", "P3Y", "2029-11-23T19:00:00Z"},
		{"late in the day, tomorrow in Almaty", "2026-11-23T20:00:00Z", "P3Y", "2029-11-24T19:00:00Z"},
		{"29 February", "2024-02-29T06:00:00Z", "P3Y", "2027-02-28T19:00:00Z"},
		{"29 February to 29 February", "2024-02-29T06:00:00Z", "P4Y", "2028-02-29T19:00:00Z"},
		{"28 February to a leap year", "2025-02-28T06:00:00Z", "P3Y", "2028-02-28T19:00:00Z"},
		{"over the change of offset", "2021-02-28T19:00:00Z", "P3Y", "2024-03-01T19:00:00Z"},
		{"due before the change of offset", "2021-02-26T19:00:00Z", "P3Y", "2024-02-27T18:00:00Z"},
		{"months", "2026-12-31T06:00:00Z", "P14M", "2028-02-29T19:00:00Z"},
		{"days", "2026-12-31T06:00:00Z", "P30D", "2027-01-30T19:00:00Z"},
		{"all of them", "2026-01-31T06:00:00Z", "P1Y1M1D", "2027-03-01T19:00:00Z"},
	} {
		keep, err := ParsePeriod(c.keep)
		require.NoError(t, err)
		require.Equal(t, utc(t, c.due), DueAt(utc(t, c.ended), keep).UTC(), c.name)
	}
}

func TestInDoubtNothingIsDueEarly(t *testing.T) {
	ended := utc(t, "2026-11-23T05:00:00Z")
	require.Equal(t, DueAt(ended, DefaultRetention), DueAt(ended, Period{}))
	require.Equal(t, never, DueAt(time.Time{}, DefaultRetention))
	for _, bad := range []string{"", "P", "P0Y", "3Y", "P3W", "PT3H", "P-3Y", "P3M1Y", "P1000Y", "p3y", "P3Y "} {
		_, err := ParsePeriod(bad)
		require.Error(t, err, bad)
	}
}

// A period that is said not to exceed another is due no later, from any day.
func TestLongerPeriodsAreKnown(t *testing.T) {
	for _, c := range []struct {
		a, b   string
		longer bool
	}{
		{"P3Y", "P3Y", false}, {"P36M", "P3Y", false}, {"P3Y", "P36M", false}, {"P37M", "P3Y", true}, {"P3Y1D", "P3Y", true},
		{"P30D", "P1M", true}, {"P28D", "P1M", false}, {"P1M", "P31D", false}, {"P1M", "P30D", true},
	} {
		a, _ := ParsePeriod(c.a)
		b, _ := ParsePeriod(c.b)
		require.Equal(t, c.longer, a.exceeds(b), "%s over %s", c.a, c.b)
	}
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) Period {
			n := rapid.IntRange(0, 40)
			return Period{n.Draw(t, name+"Y"), n.Draw(t, name+"M"), 1 + n.Draw(t, name+"D")}
		}
		a, b := draw("a"), draw("b")
		if a.exceeds(b) {
			return
		}
		ended := time.Unix(rapid.Int64Range(1e9, 4e9).Draw(t, "ended"), 0)
		require.False(t, DueAt(ended, a).After(DueAt(ended, b)))
		back, err := ParsePeriod(a.String())
		require.NoError(t, err)
		require.Equal(t, a, back)
	})
}

// The embedded zone is the one that Go ships: when Kazakhstan changes its offset
// again and Go knows, this fails until the file is copied.
func TestEmbeddedZoneIsTheOneOfGo(t *testing.T) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	all, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	require.NoError(t, err)
	defer all.Close()
	file, err := all.Open("Asia/Almaty")
	require.NoError(t, err)
	defer file.Close()
	want, err := io.ReadAll(file)
	require.NoError(t, err)
	require.Equal(t, want, zone)
}
