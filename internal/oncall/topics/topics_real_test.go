//go:build real

package topics_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/topics"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestAClusterThatLostABrokerIsStillHeldToItsReplicas(t *testing.T) {
	b := testenv.StartKafka3(t)
	layout, err := deploy.Topics()
	require.NoError(t, err)
	admin, err := stream.NewAdmin(stream.Config{Brokers: b.Addrs()})
	require.NoError(t, err)
	wanted, err := topics.Wanted(t.Context(), admin, layout, nil)
	require.NoError(t, err)
	create(t, admin, wanted)
	b.Kill(t, 2)
	require.Eventually(t, func() bool {
		c, err := admin.Cluster(t.Context())
		return err == nil && len(c.Brokers) == 2
	}, time.Minute, 100*time.Millisecond)
	after, err := topics.Wanted(t.Context(), admin, layout, nil)
	require.NoError(t, err)
	require.Equal(t, wanted, after)
	require.Empty(t, check(t, admin, after))
}
