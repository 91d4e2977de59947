//go:build real

package testenv_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kelisim/kelisim/internal/testenv"
)

func TestLogCleanerWorksWithinSeconds(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "state", Config: testenv.CompactedConfig()})
	cl := dial(t, b)
	write := func(key, value string) {
		rec := &kgo.Record{Topic: topic, Key: []byte(key), Value: []byte(value)}
		require.NoError(t, cl.ProduceSync(t.Context(), rec).FirstErr())
	}
	write("subject", "old")
	write("subject", "new")
	written := 0
	require.Eventually(t, func() bool {
		write("filler", fmt.Sprint(written)) // a segment rolls only on an append
		written++
		oldest := consume(t, b, topic, 1)[0]
		return oldest.Offset > 0
	}, time.Minute, 250*time.Millisecond, "the old value is still there")
}

func TestPausedNodeKeepsItsConnections(t *testing.T) {
	b := testenv.StartKafka(t, testenv.KafkaConfig{})
	topic := b.Topic(t, testenv.TopicSpec{Name: "events"})
	require.NoError(t, b.Cluster().PauseNode(0))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.Error(t, dial(t, b).Ping(ctx))
	require.NoError(t, b.Cluster().ResumeNode(0))
	produceAt(t, b, topic, time.Now())
}

func TestRedisClusterRefusesScriptsAcrossSlots(t *testing.T) {
	cl := testenv.RedisCluster(t)
	script := redis.NewScript(`return redis.call('MSET', KEYS[1], 'x', KEYS[2], 'y')`)
	require.NoError(t, script.Run(t.Context(), cl, []string{"{p}:a", "{p}:b"}).Err())
	require.ErrorContains(t, script.Run(t.Context(), cl, []string{"{p}:a", "{q}:b"}).Err(), "slot")
	var masters atomic.Int32
	require.NoError(t, cl.ForEachMaster(t.Context(), func(context.Context, *redis.Client) error { masters.Add(1); return nil }))
	require.EqualValues(t, 3, masters.Load())
}

func TestPromotedReplicaHasWhatItCopied(t *testing.T) {
	primary := testenv.Redis(t)
	require.NoError(t, primary.Client(t).Set(t.Context(), "k", "v", 0).Err())
	replica := primary.Replica(t)
	cl := replica.Client(t)
	require.Equal(t, "v", cl.Get(t.Context(), "k").Val())
	require.ErrorContains(t, cl.Set(t.Context(), "k", "w", 0).Err(), "READONLY")
	replica.Promote(t)
	require.NoError(t, cl.Set(t.Context(), "k", "w", 0).Err())
}

func TestRedisTakesSettings(t *testing.T) {
	cl := testenv.RedisWith(t, map[string]string{"maxmemory-policy": "allkeys-lru", "maxmemory": "64mb"}).Client(t)
	settings, err := cl.ConfigGet(t.Context(), "*").Result()
	require.NoError(t, err)
	require.Equal(t, "allkeys-lru", settings["maxmemory-policy"])
	require.Equal(t, "512", settings["hash-max-listpack-value"], "from deploy/redis.conf")
}

func TestPausedRedisDoesNotAnswer(t *testing.T) {
	r := testenv.Redis(t)
	cl := r.Client(t)
	require.NoError(t, cl.Ping(t.Context()).Err())
	r.Pause(t, func() {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		require.Error(t, cl.WithTimeout(50*time.Millisecond).Ping(ctx).Err())
	})
	require.NoError(t, cl.Ping(t.Context()).Err())
}
