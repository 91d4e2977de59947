//go:build real

package guard_test

import (
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/testenv"
)

// TestUserWhoMayOnlyReadMayCheck holds the permissions that docs/cache.md names.
func TestUserWhoMayOnlyReadMayCheck(t *testing.T) {
	server := testenv.Redis(t)
	p := newPipeline(t, server)
	p.publish(events.Granted, 0, "promotion")
	admin := server.Client(t)
	require.NoError(t, admin.Do(t.Context(), "acl", "setuser", "shop", "on", ">secret", "resetkeys", "%R~consent:*",
		"-@all", "+evalsha_ro", "+eval_ro", "+hget", "+hmget", "+hgetall", "+time").Err())
	require.NoError(t, admin.ScriptFlush(t.Context()).Err())
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Username: "shop", Password: "secret", ContextTimeoutEnabled: true})
	defer client.Close()
	require.NoError(t, p.guard(client).Check(t.Context(), p.log.Subjects[0], "promotion").Err())
	require.Error(t, client.HSet(t.Context(), "consent:{marketing}:layout", "generation", "2").Err())
}

// TestReplicaThatFellBehindGrowsStale: a replica that hears nothing any more
// shows a granted state for ever, and no guard may believe it for longer than it
// may be old.
func TestReplicaThatFellBehindGrowsStale(t *testing.T) {
	primary := testenv.Redis(t)
	p := newPipeline(t, primary)
	p.publish(events.Granted, 0, "promotion")
	replica := primary.Replica(t)
	const patience = 500 * time.Millisecond
	check := func() guard.Decision {
		g := guard.New(replica.Client(t), "marketing", guard.WithDeadline(patient), guard.WithMaxStaleness(patience))
		return g.Check(t.Context(), p.log.Subjects[0], "promotion")
	}
	require.Eventually(t, func() bool {
		p.apply() // proves it fresh again
		return check().Allowed
	}, patient, time.Millisecond)

	primary.Pause(t, func() {
		require.Eventually(t, func() bool {
			d := check()
			require.True(t, d.Age <= patience || !d.Allowed)
			return d.Reason == events.Stale
		}, patient, time.Millisecond)
	})
}

func TestCheckWorksInACluster(t *testing.T) {
	cluster := testenv.RedisCluster(t)
	p := newPipelineOn(t, cluster)
	p.publish(events.Granted, 0, "promotion")
	g := p.guard(cluster)
	require.NoError(t, g.Check(t.Context(), p.log.Subjects[0], "promotion").Err())
	p.publish(events.Withdrawn, 0, "promotion")
	require.Equal(t, events.ByWithdrawal, g.Check(t.Context(), p.log.Subjects[0], "promotion").Reason)
}

// TestFailoverThatLosesWritesNeverAllowsAgain: who has been told no is not told
// yes because Redis forgot.
func TestFailoverThatLosesWritesNeverAllowsAgain(t *testing.T) {
	primary := testenv.Redis(t)
	p := newPipeline(t, primary)
	p.publish(events.Granted, 0, "promotion")
	replica := primary.Replica(t)
	replica.Promote(t) // it hears nothing from here on
	client := primary.Client(t)
	g := p.guard(client)
	p.publish(events.Withdrawn, 0, "promotion")
	require.Equal(t, events.ByWithdrawal, g.Check(t.Context(), p.log.Subjects[0], "promotion").Reason)

	host, port, err := net.SplitHostPort(replica.Addr())
	require.NoError(t, err)
	require.NoError(t, client.ConfigSet(t.Context(), "repl-diskless-sync-delay", "0").Err())
	require.NoError(t, replica.Client(t).ConfigSet(t.Context(), "repl-diskless-sync-delay", "0").Err())
	require.NoError(t, client.ReplicaOf(t.Context(), host, port).Err()) // takes over what the other one has
	require.Eventually(t, func() bool {
		d := g.Check(t.Context(), p.log.Subjects[0], "promotion")
		require.False(t, d.Allowed)
		return d.Reason == events.Stale
	}, patient, time.Millisecond)
}
