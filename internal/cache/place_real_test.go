//go:build real

package cache_test

import (
	"os"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
	"github.com/kelisim/kelisim/internal/testenv"
)

// TestDocumentedPlaceIsWhereSubjectsAre runs the script that docs/cache.md gives
// to whoever looks with redis-cli.
func TestDocumentedPlaceIsWhereSubjectsAre(t *testing.T) {
	text, err := os.ReadFile("../../docs/place.lua")
	require.NoError(t, err)
	place := redis.NewScript(string(text))
	server := testenv.Redis(t)
	client := server.Client(t)
	_, err = place.Run(t.Context(), client, []string{"consent:{marketing}:layout"}, "s-1").Result()
	require.ErrorContains(t, err, "no layout")

	o := own(t, open(t, connect(t, server.Addr())), 60)
	o.grow(events.Granted)
	o.catchUp()
	prefix := cachetest.Layout().Prefix(partition)
	for _, s := range o.log.Subjects {
		found, err := place.Run(t.Context(), client, []string{"consent:{marketing}:layout"}, s.Reveal()).StringSlice()
		require.NoError(t, err)
		require.Equal(t, []string{"1", prefix + "outbox", prefix + "held", prefix + "pos"}, append(found[:1:1], found[3:]...))
		state, err := client.HGet(t.Context(), found[1], found[2]).Result()
		require.NoError(t, err)
		require.Equal(t, o.states[s].Encoded(), state)
	}
}
