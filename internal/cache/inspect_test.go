package cache_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestServersSayHowTheyAreSetAndWhatTimeItIs(t *testing.T) {
	server := testenv.Redis(t)
	nodes, err := cache.Inspect(t.Context(), server.Client(t))
	require.NoError(t, err)
	require.Len(t, nodes, 1)
	n := nodes[0]
	require.Equal(t, server.Addr(), n.Addr)
	require.Equal(t, "noeviction", n.Settings["maxmemory-policy"])
	require.NotEmpty(t, n.Info["connected_clients"])
	require.False(t, n.Answered.Before(n.Asked))
	require.WithinDuration(t, time.Now(), n.Clock, time.Minute)
	if testenv.Real() {
		require.NotEmpty(t, n.Info["redis_version"])
		require.NotEmpty(t, n.Info["used_memory"])
	}

	_, err = cache.LayoutOf(t.Context(), server.Client(t), "marketing")
	require.ErrorIs(t, err, cache.ErrNoLayout)
	server.Stop(t)
	_, err = cache.Inspect(t.Context(), server.Client(t))
	require.ErrorIs(t, err, cache.ErrUnavailable)
	require.ErrorContains(t, err, server.Addr())
}
