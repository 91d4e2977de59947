package embedded_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/embedded"
)

func TestRedisRunsScriptsAndExpiresByTheClock(t *testing.T) {
	rdb := startRedis(t)
	script := redis.NewScript(`redis.call('HSET', KEYS[1], 'state', ARGV[1]); return redis.call('TIME')[1]`)
	seconds, err := script.Run(t.Context(), rdb, []string{"{p}:pos"}, "granted").Text()
	require.NoError(t, err)
	now, err := strconv.ParseInt(seconds, 10, 64)
	require.NoError(t, err)
	require.InDelta(t, time.Now().Unix(), now, 5)

	require.NoError(t, rdb.Set(t.Context(), "short", "1", time.Millisecond).Err())
	require.Eventually(t, func() bool { return rdb.Exists(t.Context(), "short").Val() == 0 }, 10*time.Second, time.Millisecond)
}

func TestRedisNamesItsEvictionPolicy(t *testing.T) {
	rdb := startRedis(t)
	policy, err := rdb.ConfigGet(t.Context(), "maxmemory*").Result()
	require.NoError(t, err)
	require.Equal(t, map[string]string{"maxmemory": "0", "maxmemory-policy": "noeviction"}, policy)
	require.ErrorContains(t, rdb.ConfigSet(t.Context(), "maxmemory", "1").Err(), "only CONFIG GET")
}

func TestRedisRefusesATakenAddress(t *testing.T) {
	first, err := embedded.StartRedis("")
	require.NoError(t, err)
	defer first.Close()
	_, err = embedded.StartRedis(first.Addr())
	require.ErrorContains(t, err, "embedded redis on "+first.Addr())
}

func startRedis(t *testing.T) *redis.Client {
	t.Helper()
	r, err := embedded.StartRedis("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(r.Close)
	rdb := redis.NewClient(&redis.Options{Addr: r.Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}
