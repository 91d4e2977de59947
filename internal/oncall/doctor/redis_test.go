package doctor

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/testenv"
)

// node is a Redis that is set as deploy/redis.conf says, changed.
func node(change func(settings, info map[string]string)) cache.Node {
	n := cache.Node{
		Settings: map[string]string{
			"maxmemory-policy": "noeviction", "appendonly": "yes",
			"hash-max-listpack-entries": "512", "hash-max-listpack-value": "512",
		},
		Info: map[string]string{
			"redis_version": "7.0.15", "used_memory": "1000", "maxmemory": "10000", "total_system_memory": "100000", "evicted_keys": "0",
			"aof_last_write_status": "ok", "aof_last_bgrewrite_status": "ok",
		},
	}
	change(n.Settings, n.Info)
	return n
}

func TestRedisIsHeldToItsSettings(t *testing.T) {
	testenv.Parallel(t)
	looks := []func(cache.Node) []Finding{redisVersion, redisEviction, redisMemory, redisCompact, redisPersistence}
	examine := func(change func(settings, info map[string]string)) (out []Finding) {
		for _, look := range looks {
			out = append(out, look(node(change))...)
		}
		return out
	}
	require.Empty(t, examine(func(_, _ map[string]string) {}))
	for _, c := range []struct {
		of       string // "settings" or "info"
		name, is string
		severity Severity
		found    string
	}{
		{"settings", "maxmemory-policy", "allkeys-lru", Critical, "may delete states"},
		{"info", "evicted_keys", "3", Critical, "has evicted 3 keys"},
		{"info", "used_memory", "8500", Warning, "85 % of maxmemory"},
		{"settings", "hash-max-listpack-value", "64", Warning, "several times the memory"},
		{"settings", "hash-max-listpack-entries", "64", Warning, "several times the memory"},
		{"settings", "appendonly", "no", Warning, "no append-only file"},
		{"info", "aof_last_write_status", "err", Critical, "aof_last_write_status is err"},
		{"info", "redis_version", "6.2.14", Critical, "is version 6.2.14"},
		{"info", "redis_version", "", Unknown, "does not say which version"},
		{"info", "used_memory", "", Unknown, "does not say how much memory"},
		{"settings", "maxmemory-policy", "", Unknown, "does not say which maxmemory-policy"},
	} {
		found := examine(func(settings, info map[string]string) {
			map[string]map[string]string{"settings": settings, "info": info}[c.of][c.name] = c.is
		})
		require.Len(t, found, 1, "%s %s", c.name, c.is)
		require.Equal(t, c.severity, found[0].Severity, c.name)
		require.Contains(t, found[0].Found, c.found)
		require.NotEmpty(t, found[0].Fix)
	}
	require.Empty(t, examine(func(settings, info map[string]string) { // a managed one that forbids CONFIG names the policy in INFO
		delete(settings, "maxmemory-policy")
		info["maxmemory_policy"] = "noeviction"
	}))
	full := examine(func(_, info map[string]string) { info["maxmemory"], info["used_memory"] = "0", "90000" })
	require.Contains(t, full[0].Found, "the system's memory")
}

func TestRedisThatServesAnybodyOnTheNetworkIsFound(t *testing.T) {
	testenv.Parallel(t)
	for addr, want := range map[string]int{"10.0.0.5:6379": 1, "redis.internal:6379": 1, "127.0.0.1:6379": 0, "localhost:6379": 0, "[::1]:6379": 0} {
		n := node(func(_, _ map[string]string) {})
		n.Addr = addr
		require.Empty(t, redisAccess(n), addr)
		n.Open = true
		require.Len(t, redisAccess(n), want, addr)
	}
}
