package cache_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
	"github.com/kelisim/kelisim/internal/testenv"
)

// The live partition is a torso, which nothing proves fresh, and its owner stands in
// front of the end of the log. What is swapped in is whole, and stands behind it: from
// then on the partition is proved fresh again, and no owner counts what follows the end.
func TestSwapBringsTheStageAndEndsTheTorso(t *testing.T) {
	client := testenv.Redis(t).Client(t)
	store := open(t, client)
	live := own(t, store, 3)
	var err error
	live.mark, err = store.BeginTorso(t.Context(), partition, live.mark.Epoch, 0)
	require.NoError(t, err)
	live.grow(events.Granted)
	live.catchUp()

	beside, err := cache.OpenStaging(t.Context(), client, cachetest.Layout())
	require.NoError(t, err)
	staged := own(t, beside, 3)
	staged.grow(events.Granted)
	staged.grow(events.Withdrawn)
	b := staged.batch()
	b.Stage = events.StageEnded
	require.NoError(t, staged.write(b).Err)
	require.NoError(t, beside.Swap(t.Context(), partition, staged.mark.Epoch, live.mark.Next))

	spots, err := cache.NewInspector(client, cachetest.Layout()).Spots(t.Context(), partition)
	require.NoError(t, err)
	require.False(t, spots[0].Torso)
	require.Equal(t, events.StageEnded, spots[0].Stage)
	live.claim()
	require.Equal(t, staged.mark.Next, live.mark.Next)
	require.Equal(t, staged.mark.Digest, live.mark.Digest)
	require.Equal(t, events.StageEnded, live.mark.Stage)
	proof := cache.Proof{Partition: partition, Epoch: live.mark.Epoch, Next: live.mark.Next, Proved: time.Now()}
	result := store.Refresh(t.Context(), []cache.Proof{proof})[0]
	require.NoError(t, result.Err)
	require.Positive(t, result.Mark.Fresh)
}
