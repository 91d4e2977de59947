package simulation

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
)

// The columns, by name.
const (
	byLog = iota
	byTime
	byStamps
	ours
)

// quick is how many histories a test judges a row by. What DESIGN 3 counts in
// hundreds of a million still shows among them.
const quick = 20_000

func runRow(t *testing.T, f Faults) Row {
	t.Helper()
	row, err := Run(context.Background(), events.SeedRules(), f, quick, 1, 2)
	require.NoError(t, err)
	require.Equal(t, quick, row.Histories)
	return row
}

func TestTwoKeysReopenNothingWithTheProducersMeasures(t *testing.T) {
	for _, f := range Rows() {
		row := runRow(t, f.Measured())
		require.Zero(t, row.Reopened[ours], f.Name)
		require.Less(t, row.Denied, quick*8/100, "%s: the price", f.Name)
	}
}

// Where the other rules fail, and ours does not, is what DESIGN 3 says.
func TestEachFaultReopensByTheRuleThatIgnoresIt(t *testing.T) {
	reopened := map[string][]int{
		"clocks within 50 ms":                     {},
		"clock skew up to 60 s":                   {byTime},
		"late copy of a produce request, 1 in 20": {byLog},
		"redrive, 1 in 50":                        {byLog},
		"delayed in the producer, 1 in 20":        {byLog},
		"all of these, skew 0.5 s":                {byLog, byTime},
		"all of these, skew 2 s":                  {byLog, byTime, byStamps, ours},
		"all of these, skew 60 s":                 {byLog, byTime, byStamps, ours},
	}
	for _, f := range Rows() {
		row := runRow(t, f)
		want := reopened[f.Name]
		for column, n := range row.Reopened {
			switch {
			case slices.Contains(want, column):
				require.Positive(t, n, "%s by %s", f.Name, Columns()[column])
			case column == byStamps && f.Name == "all of these, skew 0.5 s": // 34 in a million
			default:
				require.Zero(t, n, "%s by %s", f.Name, Columns()[column])
			}
		}
		if slices.Contains(want, ours) {
			require.Less(t, row.Reopened[ours], row.Reopened[byStamps], f.Name)
		}
	}
}

func TestMeasuresDoNotHelpTheOtherRules(t *testing.T) {
	for _, f := range Rows()[5:] {
		row := runRow(t, f.Measured())
		require.Positive(t, row.Reopened[byLog], f.Name)
		require.Positive(t, row.Reopened[byTime], f.Name)
	}
}

func TestSameSeedGivesTheSameTableHoweverManyWorkers(t *testing.T) {
	rules, f := events.SeedRules(), Rows()[7]
	run := func(seed uint64, workers int) Row {
		row, err := Run(context.Background(), rules, f, 2*batch+1, seed, workers)
		require.NoError(t, err)
		return row
	}
	one := run(1, 1)
	require.Equal(t, one, run(1, 3))
	require.NotEqual(t, one, run(2, 1))
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Run(ctx, events.SeedRules(), Rows()[0], quick, 1, 2)
	require.ErrorIs(t, err, context.Canceled)
}

func TestHistoriesHoldTheFaultsTheyAreNamedAfter(t *testing.T) {
	var h history
	d := newDice()
	var copies, redriven, ahead int
	for i := range uint64(2_000) {
		d.reset(1, i)
		h.draw(d, Rows()[7])
		require.GreaterOrEqual(t, len(h.log), minDecisions)
		seen := map[int]bool{}
		for j, r := range h.log {
			require.EqualValues(t, j, r.offset)
			if j > 0 {
				require.GreaterOrEqual(t, r.at, h.log[j-1].at, "append times rise with the log")
			}
			if r.redriven {
				redriven++
				require.True(t, h.log[r.first].parked)
				require.Equal(t, h.log[r.first].at, r.firstAt)
				require.Equal(t, h.log[r.first].id, r.id)
			} else if seen[r.id] {
				copies++
			}
			seen[r.id] = true
		}
		d.reset(1, i)
		h.draw(d, Rows()[7].Measured())
		for _, r := range h.log {
			if r.decided > r.at {
				ahead++
			}
		}
	}
	require.Positive(t, copies)
	require.Positive(t, redriven)
	require.Zero(t, ahead, "a measured clock never stamps ahead")
}

func TestTableIsMarkdown(t *testing.T) {
	var out strings.Builder
	require.NoError(t, WriteHead(&out, "fault"))
	require.NoError(t, WriteRow(&out, Row{Faults: Rows()[0], Histories: 1_000_000, Reopened: []int{0, 89_372, 1_234_567, 7}, Denied: 24_950}))
	require.Equal(t, `| fault | log order | event time | two keys without append time | two keys | denials not meant |
| --- | --- | --- | --- | --- | --- |
| clocks within 50 ms | 0 | 89,372 | 1,234,567 | 7 | 2.50 % |
`, out.String())
}
