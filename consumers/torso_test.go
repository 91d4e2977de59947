package consumers

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
)

// The log had a withdrawal in front of what it has now, and the cache was flushed:
// the permission that is left must not be answered by.
func TestLogWithoutItsBeginningProvesNothingFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		home := events.PartitionOf(subject(t, 1).Reveal(), testPartitions)
		b.log.starts[home] = 2
		for range 3 {
			b.grant(t, 1, events.SeedPolicy, "promotion")
		}
		stop := b.start(t)
		b.settle(t)
		<-time.After(2 * refreshEvery)
		view, err := b.store.Lookup(t.Context(), subject(t, 1))
		require.NoError(t, err)
		require.True(t, view.Known)
		require.False(t, view.State.IsZero(), "it follows what there is")
		require.Zero(t, view.Fresh)
		require.NoError(t, stop())

		stop = b.start(t) // the next owner finds a position
		b.grant(t, 1, events.SeedPolicy, "research")
		b.settle(t)
		<-time.After(2 * refreshEvery)
		view, err = b.store.Lookup(t.Context(), subject(t, 1))
		require.NoError(t, err)
		require.Zero(t, view.Fresh)
		require.NoError(t, stop())
	})
}
