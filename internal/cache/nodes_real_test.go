//go:build real

package cache_test

import (
	"testing"

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
