package testenv

import (
	"context"
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/deploy"
)

// TopicSpec describes a topic for a test.
type TopicSpec struct {
	// Name is the beginning of the topic's name.
	Name string
	// Partitions is their number; 0 means one.
	Partitions int
	// Config holds topic settings, such as "message.timestamp.type": "LogAppendTime".
	Config map[string]string
}

// Topic creates a topic with a name that no other test has, and returns the name. The topic is deleted when the test
// ends. It has one replica on every node.
func (b *Broker) Topic(t testing.TB, spec TopicSpec) string {
	t.Helper()
	admin := b.Admin(t)
	name := spec.Name + "-" + rand.Text()[:8]
	config := make(map[string]*string, len(spec.Config))
	for key, value := range spec.Config {
		config[key] = &value
	}
	ctx, cancel := context.WithTimeout(t.Context(), adminTimeout)
	defer cancel()
	replicas := int16(len(b.Addrs()))
	_, err := admin.CreateTopic(ctx, int32(max(spec.Partitions, 1)), replicas, config, name)
	require.NoError(t, err, "create topic %s", name)
	b.awaitLeaders(ctx, t, name)
	t.Cleanup(func() { b.deleteTopic(name) })
	return name
}

// Deployed creates a topic as deploy/topics.yaml has it, with another number of partitions; 0 means its own.
func (b *Broker) Deployed(t testing.TB, name string, partitions int) string {
	t.Helper()
	layout, err := deploy.Topics()
	require.NoError(t, err)
	topic, err := layout.ForBrokers(len(b.Addrs())).Topic(name)
	require.NoError(t, err)
	if partitions == 0 {
		partitions = topic.Partitions
	}
	return b.Topic(t, TopicSpec{Name: name, Partitions: partitions, Config: topic.Config})
}

// CompactedConfig returns topic settings with which the log cleaner works within seconds. A segment is rolled only by
// an append that comes more than segment.ms after its first one: keep writing until the cleaner has run.
func CompactedConfig() map[string]string {
	return map[string]string{
		"cleanup.policy":            "compact",
		"segment.ms":                "1500",
		"segment.bytes":             "1048576", // the least that Kafka 4.3 allows
		"min.cleanable.dirty.ratio": "0.001",
		"delete.retention.ms":       "100",
	}
}

// awaitLeaders returns when every partition has a leader: a real broker answers the creation before that.
func (b *Broker) awaitLeaders(ctx context.Context, t testing.TB, topic string) {
	t.Helper()
	admin := b.Admin(t)
	require.Eventually(t, func() bool {
		topics, err := admin.ListTopics(ctx, topic)
		if err != nil || topics[topic].Err != nil {
			return false
		}
		for _, p := range topics[topic].Partitions {
			if p.Err != nil || p.Leader < 0 {
				return false
			}
		}
		return len(topics[topic].Partitions) > 0
	}, adminTimeout, pollInterval, "leaders of %s", topic)
}

// deleteTopic does what it can: the test is over, and its Kafka may be stopped.
func (b *Broker) deleteTopic(name string) {
	if !b.shared {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	if admin, err := b.admin(); err == nil {
		defer admin.Close()
		_, _ = admin.DeleteTopics(ctx, name)
	}
}
