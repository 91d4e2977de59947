//go:build real

package cache_test

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestEveryServerOfAClusterIsAsked(t *testing.T) {
	nodes, err := cache.Inspect(t.Context(), testenv.RedisCluster(t))
	require.NoError(t, err)
	require.Len(t, nodes, 3)
	for _, n := range nodes {
		require.Equal(t, "1", n.Info["cluster_enabled"])
		require.Equal(t, "noeviction", n.Settings["maxmemory-policy"])
	}
}

func TestServerWithAPasswordIsNotOpen(t *testing.T) {
	server := testenv.Redis(t)
	client := server.Client(t)
	nodes, err := cache.Inspect(t.Context(), client)
	require.NoError(t, err)
	require.True(t, nodes[0].Open)
	require.NoError(t, client.Do(t.Context(), "CONFIG", "SET", "requirepass", "secret").Err())
	known := redis.NewClient(&redis.Options{Addr: server.Addr(), Password: "secret"})
	defer func() { _ = known.Close() }()
	nodes, err = cache.Inspect(t.Context(), known)
	require.NoError(t, err)
	require.False(t, nodes[0].Open)
	require.NoError(t, known.ConfigSet(t.Context(), "requirepass", "").Err())
}
