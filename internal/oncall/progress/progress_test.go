package progress

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func linesOf(t *testing.T, text string) (all []line) {
	t.Helper()
	for l := range strings.Lines(text) {
		var one line
		require.NoError(t, json.Unmarshal([]byte(l), &one))
		all = append(all, one)
	}
	return all
}

func TestProgramsReadALineNowAndThenAndOneAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		p := New(&b, false, "verify", "events")
		p.Start(map[int32]int64{0: 600, 1: 400, 2: 0})
		for range 10 {
			time.Sleep(time.Second)
			p.Add(0, 50)
		}
		p.Done()
		p.Done()
		all := linesOf(t, b.String())
		require.Equal(t, line{Task: "verify", Unit: "events", Done: 150, Total: 1000, Partitions: 2, Rate: 50, Left: 17}, all[0])
		require.Len(t, all, 4)
		require.Equal(t, line{Task: "verify", Unit: "events", Done: 500, Total: 1000, Partitions: 2, Rate: 50, Left: 10, End: true}, all[3])
	})
}

func TestFinishedPartitionsAreCountedOff(t *testing.T) {
	var b strings.Builder
	p := New(&b, false, "x", "events")
	p.Done() // before it began
	p.Start(map[int32]int64{0: 2, 1: 2})
	p.Add(0, 2)
	p.Done()
	require.Equal(t, 1, linesOf(t, b.String())[0].Partitions)
}

func TestPeopleSeeABarForEachPartition(t *testing.T) {
	var b strings.Builder
	p := New(&b, true, "verify", "events")
	p.Start(map[int32]int64{0: 10, 1: 20, 2: 0})
	p.Add(0, 10)
	p.Add(1, 5)
	p.Add(2, 1) // more than was said
	p.Done()
	p.Done()
	require.Contains(t, b.String(), "verify 0")
	require.Contains(t, b.String(), "10/10")
	require.Contains(t, b.String(), "verify 1")
	require.Contains(t, b.String(), "5/20")
	require.NotContains(t, b.String(), "verify 2", "an empty partition has no bar")
}

func TestManyPartitionsShareABar(t *testing.T) {
	var b strings.Builder
	p, total := New(&b, true, "verify", "events"), make(map[int32]int64)
	for i := range int32(maxBars + 1) {
		total[i] = 2
	}
	p.Start(total)
	p.Add(3, 2)
	p.Done()
	require.Contains(t, b.String(), "2/66")
	require.NotContains(t, b.String(), "verify 3")
}
