package stream_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestTopicsAreDescribedAsTheyAre(t *testing.T) {
	b := testenv.Kafka(t, testenv.WithBrokers(3))
	topic := b.Topic(t, testenv.TopicSpec{Name: "described", Partitions: 4})
	all, err := admin(t, b).Topics(t.Context())
	require.NoError(t, err)
	require.Contains(t, all, topic)
	found, err := admin(t, b).Topics(t.Context(), topic, topic+"-none")
	require.NoError(t, err)
	require.Len(t, found, 1, "a topic that is not there is not in the answer")
	require.Len(t, found[topic].Partitions, 4)
	for i, p := range found[topic].Partitions {
		require.EqualValues(t, i, p.ID)
		require.ElementsMatch(t, []int32{0, 1, 2}, p.Replicas)
		require.ElementsMatch(t, []int32{0, 1, 2}, p.InSync)
		require.Contains(t, p.Replicas, p.Leader)
		require.Empty(t, p.Offline)
	}
}

func TestClusterNamesItsBrokersByTheAddressThatClientsUse(t *testing.T) {
	b := testenv.Kafka(t, testenv.WithBrokers(3))
	c, err := admin(t, b).Cluster(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, c.ID)
	require.Len(t, c.Brokers, 3)
	for i, addr := range b.Addrs() {
		require.Equal(t, stream.Broker{ID: int32(i), Addr: addr}, stream.Broker{ID: c.Brokers[i].ID, Addr: c.Brokers[i].Addr})
	}
}

func TestSettingsOfATopicAreReadAndSetOneByOne(t *testing.T) {
	b := testenv.Kafka(t)
	a := admin(t, b)
	topic := b.Topic(t, testenv.TopicSpec{Name: "settings", Config: map[string]string{"retention.ms": "123456", "cleanup.policy": "compact"}})

	read := func() map[string]stream.Setting {
		all, err := a.TopicSettings(t.Context(), topic)
		require.NoError(t, err)
		return all[topic]
	}
	require.Equal(t, stream.Setting{Value: "123456", Own: true}, read()["retention.ms"])
	require.Equal(t, stream.Setting{Value: "compact", Own: true}, read()["cleanup.policy"])
	require.False(t, read()["min.insync.replicas"].Own, "nobody set it for this topic")

	change := map[string]string{"cleanup.policy": "delete"}
	require.NoError(t, a.SetTopicSettings(t.Context(), topic, change, true))
	require.Equal(t, "compact", read()["cleanup.policy"].Value, "a check changes nothing")
	require.NoError(t, a.SetTopicSettings(t.Context(), topic, change, false))
	require.Equal(t, "delete", read()["cleanup.policy"].Value)
	require.Equal(t, stream.Setting{Value: "123456", Own: true}, read()["retention.ms"], "the others stay")

	_, err := a.TopicSettings(t.Context(), topic+"-none")
	require.ErrorContains(t, err, topic+"-none")
	if testenv.Real() { // the embedded one takes anything
		require.ErrorContains(t, a.SetTopicSettings(t.Context(), topic, map[string]string{"retention.ms": "soon"}, false), topic)
	}
}

func TestSettingsOfABrokerAreRead(t *testing.T) {
	b := testenv.Kafka(t)
	c, err := admin(t, b).Cluster(t.Context())
	require.NoError(t, err)
	settings, err := admin(t, b).BrokerSettings(t.Context(), c.Brokers[0].ID)
	require.NoError(t, err)
	require.Equal(t, "500", settings["group.min.session.timeout.ms"].Value)
}

func TestGroupIsDescribedWithWhoReadsWhat(t *testing.T) {
	b := testenv.Kafka(t)
	a := admin(t, b)
	topic := b.Topic(t, testenv.TopicSpec{Name: "members", Partitions: 3})
	g, err := a.Group(t.Context(), topic+"-group")
	require.NoError(t, err)
	require.Equal(t, stream.Group{Name: topic + "-group", State: "Dead"}, g, "one that never was")

	member := join(t, b, stream.ConsumerConfig{
		Config: stream.Config{ClientID: "who"}, Group: topic + "-group", Topic: topic,
	}, newLedger().handle("who"))
	require.Eventually(t, func() bool {
		g, err = a.Group(t.Context(), topic+"-group")
		return err == nil && g.State == "Stable"
	}, 30*time.Second, 20*time.Millisecond)
	require.Len(t, g.Members, 1)
	require.Contains(t, g.Members[0].ClientID, "who")
	require.Equal(t, map[string][]int32{topic: {0, 1, 2}}, g.Members[0].Assigned)
	require.NoError(t, member.stop())
	require.Eventually(t, func() bool {
		g, err = a.Group(t.Context(), topic+"-group")
		return err == nil && g.State != "Stable" && len(g.Members) == 0
	}, 30*time.Second, 20*time.Millisecond)
}
