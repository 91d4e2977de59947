package cache_test

import (
	"log/slog"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestRedis(t *testing.T) {
	server := testenv.Redis(t)
	cachetest.Run(t, func(t testing.TB) cachetest.Fixture {
		server.Flush(t)
		store := open(t, connect(t, server.Addr()))
		return cachetest.Fixture{Store: store, Flush: func() { server.Flush(t) }}
	})
}

func connect(t testing.TB, addrs ...string) redis.UniversalClient {
	client, err := cache.Connect(cache.Options{Addrs: addrs})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func open(t testing.TB, client redis.UniversalClient) *cache.Redis {
	store, err := cache.NewRedis(t.Context(), client, cachetest.Layout(), silent())
	require.NoError(t, err)
	return store
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }
