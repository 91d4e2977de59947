package consumers

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A window that is kept open pays at the end of the log, when it is written and
// nothing is left to fold: so it never covers more than what is left.
func TestWindowsShrinkTowardsTheEndOfTheLog(t *testing.T) {
	var covered []int
	for left := int64(1_000_000); left >= farBehind; {
		w := window{since: time.Now()}
		for ; !w.ripe(left, 0); left -= chunk {
			w.events += chunk
		}
		covered = append(covered, w.events)
		require.LessOrEqual(t, int64(w.events), left+2*chunk, "the last chunk may go beyond")
	}
	require.Less(t, len(covered), 10, "a window covers half of what was left: %d", covered)
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
