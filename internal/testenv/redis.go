package testenv

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// pollInterval is how often a condition on another process is looked at.
const pollInterval = 5 * time.Millisecond

// RedisServer is a Redis for one test.
type RedisServer struct {
	server redisServer
}

// redisServer is what the embedded and the real Redis have in common.
type redisServer interface {
	Addr() string
	Start(ctx context.Context) error // on the same port, empty
	Stop() error
}

// Redis starts a Redis for this test: empty, on a port of its own, stopped when the test ends.
func Redis(t testing.TB) *RedisServer {
	t.Helper()
	server, err := startRedis(t)
	require.NoError(t, err, "start redis")
	r := &RedisServer{server: server}
	t.Cleanup(func() { _ = server.Stop() })
	return r
}

// Addr returns the server's host:port.
func (r *RedisServer) Addr() string { return r.server.Addr() }

// Client returns a client with a short timeout that ends with the test. It does not retry: a test that stops the server
// wants to see the first error.
func (r *RedisServer) Client(t testing.TB) *redis.Client {
	t.Helper()
	cl := redis.NewClient(&redis.Options{Addr: r.Addr(), MaxRetries: -1, DialerRetries: 1, DisableIdentity: true})
	t.Cleanup(func() { _ = cl.Close() })
	return cl
}

// Flush drops every key and every loaded script.
func (r *RedisServer) Flush(t testing.TB) {
	t.Helper()
	r.patiently(t, func(*redis.Client) error { return nil })
}

// Clear is Flush for a test that begins anew: what clients sent before and the server has not read yet is dropped too,
// and their connections end.
func (r *RedisServer) Clear(t testing.TB) {
	t.Helper()
	r.patiently(t, func(cl *redis.Client) error { return Disconnect(t.Context(), cl) })
}

// patiently drops everything behind what comes before, over a connection of its own and with all the time that a machine
// which stands still may need.
func (r *RedisServer) patiently(t testing.TB, before func(cl *redis.Client) error) {
	t.Helper()
	cl := redis.NewClient(&redis.Options{
		Addr: r.Addr(), MaxRetries: -1, DialerRetries: 1, DisableIdentity: true, ReadTimeout: adminTimeout, WriteTimeout: adminTimeout,
	})
	defer cl.Close()
	require.NoError(t, before(cl))
	require.NoError(t, cl.FlushAll(t.Context()).Err())
	require.NoError(t, cl.ScriptFlush(t.Context()).Err())
}

// Stop ends the server; its data is gone.
func (r *RedisServer) Stop(t testing.TB) {
	t.Helper()
	require.NoError(t, r.server.Stop(), "stop redis")
}

// Start starts a stopped server again, on the same port, and empty.
func (r *RedisServer) Start(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), adminTimeout)
	defer cancel()
	require.NoError(t, r.server.Start(ctx), "start redis")
}

// Restart stops the server and starts it again, on the same port, and empty: as after a failover that lost everything.
func (r *RedisServer) Restart(t testing.TB) {
	t.Helper()
	r.Stop(t)
	r.Start(t)
}
