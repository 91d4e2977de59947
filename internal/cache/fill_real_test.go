//go:build real

package cache_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
	"github.com/kelisim/kelisim/internal/testenv"
)

// Commands of a transaction that is not let in would be done alone, whoever owns the
// partition by then. So whoever may not is never asked to.
func TestUserWhoMayNotTransactIsWrittenForByScripts(t *testing.T) {
	server := testenv.Redis(t)
	for _, kept := range []string{"-@transaction", "-multi"} {
		server.Flush(t)
		require.NoError(t, server.Client(t).Do(t.Context(), "acl", "setuser", "app", "reset", "on", ">secret", "~consent:*", "+@all", kept).Err())
		client, err := cache.Connect(cache.Options{Addrs: []string{server.Addr()}, Username: "app", Password: "secret"})
		require.NoError(t, err)
		t.Cleanup(func() { _ = client.Close() })
		w := &wire{}
		client.AddHook(w)
		var said bytes.Buffer
		store, err := cache.NewRedis(t.Context(), client, cachetest.Layout(), slog.New(slog.NewTextHandler(&said, nil)))
		require.NoError(t, err)
		require.Contains(t, said.String(), "+@transaction")
		o := own(t, store, bulk)
		o.grow(events.Granted)
		w.send = func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
			require.NotEqual(t, "multi", cmds[0].Name())
			return next(ctx, cmds)
		}
		require.NoError(t, o.write(o.wide()).Err)
		o.isTheFold()
	}
}
