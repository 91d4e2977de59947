//go:build real

package targeting_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/consumers/targeting"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestRedisClusterRunsEveryScript(t *testing.T) {
	cluster := testenv.RedisCluster(t)
	slotstest.KeepFresh(cluster)
	all := slotstest.Slots(targeting.Name, 8)
	desk, err := targeting.Open(cluster, all)
	require.NoError(t, err)
	require.NoError(t, desk.Register(ctx(), "night-owls", "personalisation"))
	people := slotstest.Subjects(200)
	got, err := desk.Join(ctx(), "night-owls", people...)
	require.NoError(t, err)
	require.Equal(t, len(people), got.Joined)
	action, err := targeting.New(cluster, slotstest.NewEngine(cluster, all[0]).Rules, nil)
	require.NoError(t, err)
	for _, slot := range all {
		engine := slotstest.NewEngine(cluster, slot)
		for _, s := range people {
			if slotstest.Home(all, s) == slot {
				learned, err := desk.Learn(ctx(), "personalisation", s, map[string]string{"seen": "1"})
				require.NoError(t, err)
				require.True(t, learned)
				engine.Decide(t, s, engine.Standing(t, nil, targeting.Purposes()))
			}
		}
		engine.Drain(t, action)
	}
	for _, s := range people {
		m, err := desk.Member(ctx(), "night-owls", s)
		require.NoError(t, err)
		require.Equal(t, targeting.Membership{Defaulted: true}, m)
		p, err := desk.Profile(ctx(), "personalisation", s)
		require.NoError(t, err)
		require.Equal(t, targeting.Profile{Defaulted: true, Features: map[string]string{}}, p)
	}
	require.NoError(t, desk.Remove(ctx(), "night-owls"))
}
