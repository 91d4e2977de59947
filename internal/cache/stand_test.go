package cache_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestStandsSayWhatIsKnownOfEachPartition(t *testing.T) {
	server := testenv.Redis(t)
	client := connect(t, server.Addr())
	reader := cache.NewReader(client, cachetest.Layout().Service)
	_, err := reader.Stands(t.Context())
	require.ErrorIs(t, err, cache.ErrNoLayout)

	store := open(t, client)
	mark, err := store.Claim(t.Context(), 1)
	require.NoError(t, err)
	mark, err = store.Begin(t.Context(), 1, mark.Epoch, 40)
	require.NoError(t, err)
	stands, err := reader.Stands(t.Context())
	require.NoError(t, err)
	require.Len(t, stands, int(cachetest.Layout().Partitions))
	require.Zero(t, stands[0])
	require.Equal(t, cache.Stand{Known: true, Next: 40}, stands[1], "begun, and not proved")

	results := store.Refresh(t.Context(), []cache.Proof{{Partition: 1, Epoch: mark.Epoch, Next: 40, Proved: time.Now()}})
	require.NoError(t, results[0].Err)
	prefix := cachetest.Layout().Prefix(1)
	require.NoError(t, client.Do(t.Context(), "ZADD", prefix+"outbox", 40, "somebody").Err())
	stands, err = reader.Stands(t.Context())
	require.NoError(t, err)
	require.True(t, stands[1].Proved)
	require.InDelta(t, 0, stands[1].Age.Seconds(), 5)
	require.EqualValues(t, 1, stands[1].Waiting)

	server.Flush(t)
	_, err = reader.Stands(t.Context())
	require.ErrorIs(t, err, cache.ErrNoLayout)
}
