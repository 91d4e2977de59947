package testenv_test

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/testenv"
)

func TestEachRedisIsItsOwn(t *testing.T) {
	first, second := testenv.Redis(t), testenv.Redis(t)
	require.NoError(t, first.Client(t).Set(t.Context(), "k", "v", 0).Err())
	require.ErrorIs(t, second.Client(t).Get(t.Context(), "k").Err(), redis.Nil)
}

func TestRestartedRedisIsEmptyAndOnItsPort(t *testing.T) {
	r := testenv.Redis(t)
	addr, cl := r.Addr(), r.Client(t)
	require.NoError(t, cl.Set(t.Context(), "k", "v", 0).Err())
	r.Stop(t)
	require.Error(t, cl.Ping(t.Context()).Err())
	r.Start(t)
	require.Equal(t, addr, r.Addr())
	require.ErrorIs(t, r.Client(t).Get(t.Context(), "k").Err(), redis.Nil)
}

func TestFlushDropsKeysAndScripts(t *testing.T) {
	r := testenv.Redis(t)
	cl := r.Client(t)
	require.NoError(t, cl.Set(t.Context(), "k", "v", 0).Err())
	sha, err := cl.ScriptLoad(t.Context(), "return 1").Result()
	require.NoError(t, err)
	r.Flush(t)
	require.ErrorIs(t, cl.Get(t.Context(), "k").Err(), redis.Nil)
	require.ErrorContains(t, cl.EvalSha(t.Context(), sha, nil).Err(), "NOSCRIPT")
}

func TestRedisDoesNotEvict(t *testing.T) {
	policy, err := testenv.Redis(t).Client(t).ConfigGet(t.Context(), "maxmemory-policy").Result()
	require.NoError(t, err)
	require.Equal(t, "noeviction", policy["maxmemory-policy"])
}
