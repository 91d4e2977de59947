package cache_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestRedis(t *testing.T) {
	server := testenv.Redis(t)
	cachetest.Run(t, func(ctx context.Context) (cachetest.Fixture, error) {
		server.Clear(t)
		return fixture(ctx, cache.Options{Addrs: []string{server.Addr()}}, func() { server.Flush(t) })
	})
}

// fixture opens a store over a client of its own.
func fixture(ctx context.Context, o cache.Options, flush func()) (cachetest.Fixture, error) {
	client, err := cache.Connect(o)
	if err != nil {
		return cachetest.Fixture{}, err
	}
	f := cachetest.Fixture{Flush: flush, Close: func() { _ = client.Close() }}
	if f.Store, err = cache.NewRedis(ctx, patient(client), cachetest.Layout(), silent()); err != nil {
		f.Close()
	}
	return f, err
}

// patience is how long these tests wait for an answer: on a machine that stands
// still for a moment a Redis is slow, and not gone.
const patience = 30 * time.Second

// patient lets a client of one server wait longer than one that works.
func patient(client redis.UniversalClient) redis.UniversalClient {
	if one, ok := client.(*redis.Client); ok {
		return one.WithTimeout(patience)
	}
	return client
}

func connect(t testing.TB, addrs ...string) redis.UniversalClient {
	client, err := cache.Connect(cache.Options{Addrs: addrs})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return patient(client)
}

func open(t testing.TB, client redis.UniversalClient) *cache.Redis {
	store, err := cache.NewRedis(t.Context(), client, cachetest.Layout(), silent())
	require.NoError(t, err)
	return store
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }
