//go:build real

package testenv

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/testenv/realredis"
)

// clusterMasters is how many masters RedisCluster has: the fewest that a Redis Cluster is made of.
const clusterMasters = 3

// RedisWith starts a redis-server with settings added to those of deploy/redis.conf, for example "maxmemory-policy".
func RedisWith(t testing.TB, settings map[string]string) *RedisServer {
	t.Helper()
	server, err := startRealRedis(t, settings)
	require.NoError(t, err, "start redis with %v", settings)
	return &RedisServer{server: server}
}

// Replica starts a redis-server that copies this one, and returns when it is in sync.
func (r *RedisServer) Replica(t testing.TB) *RedisServer {
	t.Helper()
	replica := RedisWith(t, nil)
	host, port, err := net.SplitHostPort(r.Addr())
	require.NoError(t, err)
	cl := replica.Client(t)
	require.NoError(t, r.Client(t).ConfigSet(t.Context(), "repl-diskless-sync-delay", "0").Err()) // five seconds by default
	require.NoError(t, cl.ReplicaOf(t.Context(), host, port).Err())
	require.Eventually(t, func() bool {
		status := cl.InfoMap(t.Context(), "replication").Item("Replication", "master_link_status")
		return status == "up"
	}, adminTimeout, pollInterval, "replica in sync")
	return replica
}

// Promote makes a replica a primary, as a failover does. Writes that the old primary acknowledged and did not pass on
// are lost.
func (r *RedisServer) Promote(t testing.TB) {
	t.Helper()
	require.NoError(t, r.Client(t).ReplicaOf(t.Context(), "NO", "ONE").Err())
}

// Pause stops the server in its tracks for as long as during runs: connections stay open, and nothing is answered.
func (r *RedisServer) Pause(t testing.TB, during func()) {
	t.Helper()
	server := r.server.(*realredis.Server)
	require.NoError(t, server.Pause())
	defer func() { require.NoError(t, server.Resume()) }()
	during()
}

// Disconnect ends the connections of all other clients of a server: what they sent and it has not read yet never comes.
func Disconnect(ctx context.Context, cl *redis.Client) error {
	return cl.ClientKillByFilter(ctx, "TYPE", "normal", "SKIPME", "yes").Err()
}

// RedisCluster starts a Redis Cluster of three masters and returns a client of it. Commands over keys of several slots
// fail with CROSSSLOT, as they do in production.
func RedisCluster(t testing.TB) *redis.ClusterClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cluster, err := realredis.StartCluster(ctx, clusterMasters)
	require.NoError(t, err)
	t.Cleanup(func() { _ = cluster.Close() })
	cl := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs(), DisableIdentity: true})
	t.Cleanup(func() { _ = cl.Close() })
	return cl
}
