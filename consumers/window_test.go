package consumers

import (
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
		for ; !w.ripe(left); left -= chunk {
			w.events += chunk
		}
		covered = append(covered, w.events)
		require.LessOrEqual(t, int64(w.events), left+2*chunk, "the last chunk may go beyond")
	}
	require.Less(t, len(covered), 10, "a window covers half of what was left: %d", covered)
}

// The memory of a window is bounded however far the end of the log is away.
func TestWindowsAreBounded(t *testing.T) {
	require.False(t, (&window{since: time.Now(), states: wideStates - 1, events: wideEvents - 1}).ripe(1<<40))
	require.True(t, (&window{since: time.Now(), states: wideStates}).ripe(1<<40))
	require.True(t, (&window{since: time.Now(), events: wideEvents}).ripe(1<<40))
	require.True(t, (&window{since: time.Now().Add(-wideAge)}).ripe(1<<40))
}
