//go:build real

package marketing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestRedisClusterRunsEveryScript(t *testing.T) {
	cluster := testenv.RedisCluster(t)
	slotstest.KeepFresh(cluster)
	all := slotstest.Slots(marketing.Name, 8)
	desk, err := marketing.Open(cluster, all)
	require.NoError(t, err)
	require.NoError(t, desk.Register(ctx(), "quiz", "contests"))
	people := slotstest.Subjects(200)
	got, err := desk.Admit(ctx(), "quiz", people...)
	require.NoError(t, err)
	require.Equal(t, len(people), got.Added)
	_, err = desk.Schedule(ctx(), "quiz", time.UnixMilli(0), people...)
	require.NoError(t, err)

	action, err := marketing.New(cluster, slotstest.NewEngine(cluster, all[0]).Rules, nil)
	require.NoError(t, err)
	for _, slot := range all {
		engine := slotstest.NewEngine(cluster, slot)
		for _, s := range people {
			if slotstest.Home(all, s) == slot {
				engine.Decide(t, s, engine.Standing(t, nil, marketing.Purposes()))
			}
		}
		engine.Drain(t, action)
		taken, err := desk.Take(ctx(), slot.Partition, "quiz", time.UnixMilli(1), 100)
		require.NoError(t, err)
		require.Empty(t, taken)
	}
	for _, s := range people {
		m, err := desk.Member(ctx(), "quiz", s)
		require.NoError(t, err)
		require.Equal(t, marketing.Membership{Suppressed: true}, m)
	}
	require.NoError(t, desk.Remove(ctx(), "quiz"))
}
