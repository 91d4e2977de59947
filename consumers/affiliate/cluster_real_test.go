//go:build real

package affiliate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestRedisClusterRunsEveryScript(t *testing.T) {
	cluster := testenv.RedisCluster(t)
	slotstest.KeepFresh(cluster)
	all := slotstest.Slots(affiliate.Name, 8)
	partners := []affiliate.Partner{{ID: "home", Country: "KZ", Purposes: []events.Purpose{"contractors"}, Current: key(t, 1), Previous: key(t, 2)}}
	desk, err := affiliate.Open(cluster, all, partners)
	require.NoError(t, err)
	action, err := affiliate.New(cluster, events.SeedRules(), partners, nil)
	require.NoError(t, err)
	queue, err := affiliate.OpenQueue(cluster, all, "home", time.Minute)
	require.NoError(t, err)
	people := slotstest.Subjects(200)
	told := 0
	for _, slot := range all {
		engine := slotstest.NewEngine(cluster, slot)
		for _, s := range people {
			if slotstest.Home(all, s) == slot {
				engine.Decide(t, s, engine.Standing(t, nil, affiliate.Purposes()))
			}
		}
		engine.Drain(t, action)
		stops, err := queue.Next(ctx(), slot.Partition, time.Now().Add(time.Second), 200)
		require.NoError(t, err)
		told += len(stops)
		if len(stops) > 0 {
			require.NoError(t, queue.Retry(ctx(), stops[0], time.Now()))
		}
		require.NoError(t, queue.Ack(ctx(), stops...))
	}
	require.Equal(t, len(people), told)
	shares, err := desk.Share(ctx(), "home", "contractors", people...)
	require.NoError(t, err)
	for i, share := range shares {
		require.Equal(t, affiliate.Share{Subject: people[i], Closed: true}, share)
	}
	n, err := queue.Len(ctx())
	require.NoError(t, err)
	require.Zero(t, n)
}
