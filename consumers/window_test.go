package consumers

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A window that is kept open pays at the end of the log, when it is written and
// nothing is left to fold: so it never has more to write than is left to fold.
func TestWindowsShrinkTowardsTheEndOfTheLog(t *testing.T) {
	const log, subjects = 400_000, 40_000
	for repeats, most := range map[int]int{1: log, 10: subjects * 5 / 2} {
		written, windows, number := 0, 0, make(map[int]int)
		for left := log; left > 0; {
			w := window{since: time.Now().Add(time.Hour)} // however slow the machine
			windows++
			for ; left > 0 && (w.events == 0 || !w.ripe(int64(left), wideAfter)); left-- {
				who := left
				if repeats > 1 {
					who = left % subjects
				}
				if number[who] != windows {
					number[who] = windows
					w.states++
				}
				w.events++
			}
			require.LessOrEqual(t, w.states, max(wideStates, left+1), "as much is left to fold as there is to write, %d times", repeats)
			written += w.states
			if left < farBehind {
				break
			}
		}
		require.LessOrEqual(t, written, most, "%d times", repeats)
		require.Less(t, windows, 10, "%d times", repeats)
	}
}

// The memory of a window is bounded however far the end of the log is away.
func TestWindowsAreBounded(t *testing.T) {
	require.False(t, (&window{since: time.Now(), states: wideStates - 1, events: wideEvents - 1}).ripe(1<<40, wideAfter))
	require.True(t, (&window{since: time.Now(), states: wideStates}).ripe(1<<40, wideAfter))
	require.True(t, (&window{since: time.Now(), events: wideEvents}).ripe(1<<40, wideAfter))
	require.True(t, (&window{since: time.Now().Add(-wideAge)}).ripe(1<<40, wideAfter))
}

// The cache has nothing to do before the first window: it comes soon, unless waiting
// for more of the same subjects spares writes.
func TestFirstWindowsAreNarrowWhereNoSubjectRepeats(t *testing.T) {
	const far = 1 << 40
	require.False(t, (&window{since: time.Now(), states: firstStates - 1, events: firstStates}).ripe(far, 0))
	require.True(t, (&window{since: time.Now(), states: firstStates, events: firstStates}).ripe(far, 0))
	require.False(t, (&window{since: time.Now(), states: firstStates, events: firstStates}).ripe(far, 1))
	require.False(t, (&window{since: time.Now(), states: firstStates, events: 2 * firstStates}).ripe(far, 0), "each twice")
}

// A lane of three million events of 300,000 subjects: a window is wide enough that
// half of the writes are spared, though it cannot hold all subjects.
func TestWindowsSpareHalfOfTheWritesWhereSubjectsRepeatTenTimes(t *testing.T) {
	const events, subjects = 1_500_000, 150_000
	rnd, last := rand.New(rand.NewPCG(1, 2)), [subjects]int{}
	written := 0
	for number, left := 1, int64(events); left > 0; number++ {
		w := window{since: time.Now().Add(time.Hour)} // however slow the machine
		for ; left > 0 && (w.events == 0 || !w.ripe(left, number)); left -= chunk {
			for range chunk {
				if who := rnd.IntN(subjects); last[who] != number {
					last[who] = number
					w.states++
				}
			}
			w.events += chunk
		}
		written += w.states
	}
	require.Less(t, written, events*52/100)
}
