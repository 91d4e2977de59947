package cache_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestACacheIsFoldedFromOneKafkaClusterOnly(t *testing.T) {
	client := connect(t, testenv.Redis(t).Addr())
	service := cachetest.Layout().Service
	unknown := open(t, client)
	_, err := unknown.Claim(t.Context(), 0)
	require.NoError(t, err)
	origin, err := cache.Origin(t.Context(), client, service)
	require.NoError(t, err)
	require.Empty(t, origin, "whoever does not know writes nothing down")

	first := open(t, client)
	first.From("kafka-one")
	_, err = first.Claim(t.Context(), 0)
	require.NoError(t, err)
	origin, err = cache.Origin(t.Context(), client, service)
	require.NoError(t, err)
	require.Equal(t, "kafka-one", origin)

	other := open(t, client)
	other.From("kafka-two")
	_, err = other.Claim(t.Context(), 0)
	require.ErrorIs(t, err, cache.ErrLayout)
	require.ErrorContains(t, err, "folded from the Kafka cluster kafka-one, and this is kafka-two")
	require.ErrorIs(t, cache.FoldedFrom(t.Context(), client, service, "kafka-two"), cache.ErrLayout)
	require.NoError(t, cache.FoldedFrom(t.Context(), client, service, "kafka-one"))
	require.NoError(t, cache.FoldedFrom(t.Context(), client, service, ""), "an old broker that names no cluster")
}
