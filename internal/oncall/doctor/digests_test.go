package doctor_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kelisim/kelisim/consumers/targeting"
	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/doctor"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testservice"
)

func TestServicesThatKeepDifferentStatesAreFound(t *testing.T) {
	testenv.Parallel(t)
	c := newClinic(t)
	c.serve()
	client := c.redis.Client(t)
	action, err := targeting.New(client, events.SeedRules(), nil)
	require.NoError(t, err)
	other := testservice.Start(t, testservice.Config{
		Service: targeting.Service(action), Kafka: c.broker.Addr(), Redis: client, Group: "consent-targeting", Buckets: 16,
		Topics: testservice.Topics{Events: deploy.EventsTopic, Policies: deploy.PoliciesTopic, Parked: deploy.ParkedTopic, Receipts: deploy.ReceiptsTopic, Partitions: partitions},
	})
	t.Cleanup(func() { other.Stop(t) })
	alone := c.env
	c.env = func() *doctor.Env {
		e := alone()
		e.Services = append(e.Services, doctor.Service{Name: "targeting", Group: "consent-targeting"})
		return e
	}
	for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
		c.grant(id, asItIs)
	}
	c.service.Wait(t, 6)
	other.Wait(t, 6)
	require.Empty(t, c.examine("digests", "log-start", "staged", "redis-access"))

	pos := other.Layout.Prefix(1) + "pos"
	was, err := client.HGet(t.Context(), pos, "digest").Result()
	require.NoError(t, err)
	require.NoError(t, client.HSet(t.Context(), pos, "digest", "1").Err())
	f := c.requireOne("digests")
	require.Equal(t, doctor.Critical, f.Severity)
	require.Equal(t, "marketing and targeting/1", f.Object)
	require.NoError(t, client.HSet(t.Context(), pos, "digest", was, "torso", "1").Err())
	require.Contains(t, c.requireOne("digests").Found, "had lost its beginning")
}

func TestLogThatLostItsBeginningAndWhatAKilledRebuildLeftAreFound(t *testing.T) {
	testenv.Parallel(t)
	c := newClinic(t)
	c.serve()
	c.grant("a", asItIs)
	c.service.Wait(t, 1)
	p := events.PartitionOf("a", partitions)
	_, err := c.broker.Admin(t).DeleteRecords(t.Context(), kadm.Offsets{deploy.EventsTopic: {p: {Topic: deploy.EventsTopic, Partition: p, At: 1}}})
	require.NoError(t, err)
	require.Contains(t, c.requireOne("log-start").Found, "begins at 1")

	client := c.redis.Client(t)
	require.NoError(t, client.HSet(t.Context(), c.service.Layout.Prefix(2)+"new:s:3", "x", "y").Err())
	require.Contains(t, c.requireOne("staged").Found, "[2]")
	require.NoError(t, client.Set(t.Context(), "consent:{marketing}:rebuild", "a colleague", 0).Err())
	require.Empty(t, c.examine("staged"), "it is somebody's")
}

func TestRedisThatServesAnybodyIsSeenAsOpen(t *testing.T) {
	testenv.Parallel(t)
	c := newClinic(t)
	nodes, err := cache.Inspect(t.Context(), c.redis.Client(t))
	require.NoError(t, err)
	require.True(t, nodes[0].Open)
}
