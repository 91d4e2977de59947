package cache_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestServersSayHowTheyAreSetAndWhatTimeItIs(t *testing.T) {
	server := testenv.Redis(t)
	nodes, err := cache.Inspect(t.Context(), server.Client(t))
	require.NoError(t, err)
	require.Len(t, nodes, 1)
	n := nodes[0]
	require.Equal(t, server.Addr(), n.Addr)
	require.Equal(t, "noeviction", n.Settings["maxmemory-policy"])
	require.NotEmpty(t, n.Info["connected_clients"])
	require.False(t, n.Answered.Before(n.Asked))
	require.WithinDuration(t, time.Now(), n.Clock, time.Minute)
	if testenv.Real() {
		require.NotEmpty(t, n.Info["redis_version"])
		require.NotEmpty(t, n.Info["used_memory"])
	}

	_, err = cache.LayoutOf(t.Context(), server.Client(t), "marketing")
	require.ErrorIs(t, err, cache.ErrNoLayout)
	server.Stop(t)
	_, err = cache.Inspect(t.Context(), server.Client(t))
	require.ErrorIs(t, err, cache.ErrUnavailable)
	require.ErrorContains(t, err, server.Addr())
}

// A generation ends once nobody waits in its outboxes: one that cannot be read is not
// an empty one.
func TestOutboxThatCannotBeReadIsNotEmpty(t *testing.T) {
	client := testenv.Redis(t).Client(t)
	o := own(t, open(t, client), 3)
	o.grow(events.Granted)
	b := o.batch()
	for i := range b.Changes {
		b.Changes[i].Act = true
	}
	require.NoError(t, o.write(b).Err)
	inspector := cache.NewInspector(client, cachetest.Layout())
	spots, err := inspector.Spots(t.Context(), partition)
	require.NoError(t, err)
	require.EqualValues(t, 3, spots[0].Waits)
	require.NoError(t, client.Set(t.Context(), cachetest.Layout().Prefix(partition)+"outbox", "spoiled", 0).Err())
	_, err = inspector.Spots(t.Context(), partition)
	require.ErrorContains(t, err, "cache of marketing, partition 1: ")
}
