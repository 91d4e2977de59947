package deploy_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/internal/daemon"
)

func TestEmbeddedTopicsAreValid(t *testing.T) {
	layout, err := deploy.Topics()
	require.NoError(t, err)
	require.EqualValues(t, 1, layout.Generation)

	events, err := layout.Topic(deploy.EventsTopic)
	require.NoError(t, err)
	require.Equal(t, deploy.EventsTopic, layout.Topics[0].Name)
	require.Equal(t, 12, events.Partitions)
	require.Equal(t, "LogAppendTime", events.Config["message.timestamp.type"])
	require.Equal(t, "2", events.Config["min.insync.replicas"])

	_, err = layout.Topic("consent.event.v1")
	require.ErrorContains(t, err, "consent.event.v1")
}

func TestRetentionCoversWhatTheLawAsks(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for name, atLeast := range map[string]time.Duration{
		deploy.EventsTopic:   3 * year, // clause 2.5
		deploy.ReceiptsTopic: 3 * year,
		deploy.AuditTopic:    3 * year,
		deploy.ParkedTopic:   90 * 24 * time.Hour,
	} {
		topic := topic(t, name)
		kept, err := time.ParseDuration(topic.Config["retention.ms"] + "ms")
		require.NoError(t, err)
		require.GreaterOrEqual(t, kept, atLeast, name)
	}
	used, err := time.ParseDuration(topic(t, deploy.ActivityTopic).Config["retention.ms"] + "ms")
	require.NoError(t, err)
	require.LessOrEqual(t, used, 31*24*time.Hour, "where people were and when is kept no longer than needed")
	require.Equal(t, topic(t, deploy.EventsTopic).Config["retention.ms"], topic(t, deploy.ReceiptsTopic).Config["retention.ms"])
}

func TestSubjectsOfOnePartitionStandTogether(t *testing.T) {
	events := topic(t, deploy.EventsTopic).Partitions
	require.Equal(t, events, topic(t, deploy.StateTopic).Partitions)
	require.Equal(t, events, topic(t, deploy.ParkedTopic).Partitions)
}

// The file's own number of partitions must come back to nobody who runs by a later
// generation: a subject's next event would stand beside its history.
func TestALaterGenerationHasThePartitionsThatTheCommandGaveIt(t *testing.T) {
	file, err := deploy.Topics()
	require.NoError(t, err)
	later := file.OfGeneration(file.Generation+1, 24)
	require.Equal(t, file.Generation+1, later.Generation)
	for i, was := range file.Topics {
		want := was.Partitions
		if was.Name == deploy.EventsTopic || was.Name == deploy.StateTopic {
			want = 24
		}
		require.Equal(t, want, later.Topics[i].Partitions, was.Name)
	}
	require.Equal(t, 12, topic(t, deploy.EventsTopic).Partitions, "and the file is as it was")
	require.Equal(t, file, file.OfGeneration(file.Generation, 24), "which says it itself")
}

// A record that fits among the events fits, unpacked and with the headers that parking
// adds, among what is parked.
func TestParkedTopicTakesWhatTheEventsTopicTakes(t *testing.T) {
	most := func(name string) int {
		n, err := strconv.Atoi(topic(t, name).Config["max.message.bytes"])
		require.NoError(t, err, name)
		return n
	}
	require.Less(t, 3*most(deploy.EventsTopic), deploy.MaxParkedBytes)
	require.Less(t, deploy.MaxParkedBytes, most(deploy.ParkedTopic)-1024, "and what Kafka itself adds")
}

func TestServicesFollowTheTopicsThatAreDeployed(t *testing.T) {
	is := daemon.Defaults().Topics
	require.Equal(t, deploy.EventsTopic, is.Events)
	require.Equal(t, deploy.ParkedTopic, is.Parked)
	require.Equal(t, deploy.ReceiptsTopic, is.Receipts)
	require.Equal(t, deploy.AuditTopic, is.Audit)
	require.Equal(t, deploy.ActivityTopic, daemon.Defaults().Policy.Activity.Topic)
}

func TestFewerBrokersMeanFewerReplicas(t *testing.T) {
	layout, err := deploy.Topics()
	require.NoError(t, err)
	for _, c := range []struct {
		brokers, replicas int
		inSync            string
	}{{1, 1, "1"}, {2, 2, "1"}, {3, 3, "2"}, {5, 3, "2"}} {
		for _, topic := range layout.ForBrokers(c.brokers).Topics {
			require.Equal(t, c.replicas, topic.Replicas, "%d brokers", c.brokers)
			require.Equal(t, c.inSync, topic.Config["min.insync.replicas"], "%d brokers", c.brokers)
		}
	}
	require.Equal(t, "2", layout.Topics[0].Config["min.insync.replicas"], "the layout itself is unchanged")
}

func TestMistakesAreRefused(t *testing.T) {
	file, err := os.ReadFile("topics.yaml")
	require.NoError(t, err)
	for _, c := range []struct{ name, old, new, want string }{
		{"a key that nobody reads", "generation: 1", "generation: 1\ngenerations: 2", "field generations not found"},
		{"a setting that Kafka does not know", "retention.bytes: -1", "retention.byte: -1", "unknown setting retention.byte"},
		{"no generation", "generation: 1", "generation: 0", "generation: begins at 1"},
		{"no buckets", "buckets_per_partition: 1024", "buckets_per_partition: 0", "buckets_per_partition"},
		{"a topic of another name", "consent.parked.v1", "consent.parked.v2", "consent.parked.v1: missing"},
		{"a topic twice", "name: consent.state.v1", "name: consent.events.v1", "consent.events.v1: named twice"},
		{"no partitions", "partitions: 12", "partitions: 0", "consent.events.v1: partitions"},
		{"more in sync than there are", "min.insync.replicas: 2", "min.insync.replicas: 4", "consent.events.v1: min.insync.replicas"},
		{"events by the producers' clocks", "LogAppendTime", "CreateTime", "consent.events.v1: message.timestamp.type"},
		{"compacted events", "cleanup.policy: delete", "cleanup.policy: compact", "consent.events.v1: cleanup.policy"},
		{"state that is deleted by age", "cleanup.policy: compact", "cleanup.policy: delete", "consent.state.v1: cleanup.policy"},
		{"policies that are compacted", "cleanup.policy: delete\n      retention.ms: -1", "cleanup.policy: compact\n      retention.ms: -1", "consent.policies.v1: cleanup.policy"},
		{"policies that are forgotten", "retention.ms: -1", "retention.ms: 315619200000", "consent.policies.v1: retention.ms"},
		{"policies in no one order", "partitions: 1\n", "partitions: 2\n", "consent.policies.v1: one partition"},
		{"a leader that lacks withdrawals", "election.enable: false", "election.enable: true", "unclean.leader.election.enable"},
	} {
		changed := strings.Replace(string(file), c.old, c.new, 1)
		require.NotEqual(t, string(file), changed, c.name)
		_, err := deploy.ParseTopics([]byte(changed))
		require.ErrorContains(t, err, c.want, c.name)
	}
}

func topic(t *testing.T, name string) deploy.Topic {
	t.Helper()
	layout, err := deploy.Topics()
	require.NoError(t, err)
	topic, err := layout.Topic(name)
	require.NoError(t, err)
	return topic
}
