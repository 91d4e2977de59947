package topics_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/topics"
	"github.com/kelisim/kelisim/internal/testenv"
)

// cluster is a Kafka without topics, and what they have to be.
func cluster(t *testing.T, brokers int) (*stream.Admin, []deploy.Topic) {
	b := testenv.StartKafka(t, testenv.KafkaConfig{Brokers: brokers})
	admin, err := stream.NewAdmin(stream.Config{Brokers: b.Addrs()})
	require.NoError(t, err)
	layout, err := deploy.Topics()
	require.NoError(t, err)
	wanted, err := topics.Wanted(t.Context(), admin, layout, nil)
	require.NoError(t, err)
	return admin, wanted
}

func check(t *testing.T, k topics.Cluster, wanted []deploy.Topic) []topics.Difference {
	found, err := topics.Check(t.Context(), k, wanted)
	require.NoError(t, err)
	return found
}

func create(t *testing.T, admin *stream.Admin, wanted []deploy.Topic) {
	missing, err := topics.Missing(t.Context(), admin, wanted)
	require.NoError(t, err)
	require.NoError(t, topics.Create(t.Context(), admin, missing))
}

func TestCreatedTopicsDifferInNothing(t *testing.T) {
	admin, wanted := cluster(t, 3)
	require.Len(t, check(t, admin, wanted), len(wanted), "each of them is missing")
	create(t, admin, wanted)
	require.Eventually(t, func() bool { // one broker learns later than another
		found, err := topics.Check(t.Context(), admin, wanted)
		missing, err2 := topics.Missing(t.Context(), admin, wanted)
		return err == nil && err2 == nil && len(found)+len(missing) == 0
	}, 30*time.Second, 50*time.Millisecond)
}

func TestOnlyMissingTopicsAreCreated(t *testing.T) {
	admin, wanted := cluster(t, 1)
	odd := stream.TopicSpec{Name: deploy.ParkedTopic, Partitions: 2, Replicas: 1, Config: map[string]string{"retention.ms": "1000"}}
	require.NoError(t, admin.CreateTopics(t.Context(), []stream.TopicSpec{odd}))
	create(t, admin, wanted)
	found := check(t, admin, wanted)
	for _, d := range found {
		require.Equal(t, deploy.ParkedTopic, d.Topic, "%+v", d)
		require.NotEmpty(t, d.Fix)
	}
	require.Contains(t, found, topics.Difference{
		Topic: deploy.ParkedTopic, What: "partitions", Want: "12", Is: "2", Fix: topics.FixGeneration,
	})
	require.Contains(t, found, topics.Difference{
		Topic: deploy.ParkedTopic, What: "retention.ms", Want: "7776000000", Is: "1000", Fix: topics.FixAlign,
	})
}

func TestEverySettingIsComparedAndThoseBesideThemAreFound(t *testing.T) {
	admin, wanted := cluster(t, 1)
	create(t, admin, wanted)
	for _, topic := range wanted {
		for name, value := range topic.Config {
			other := map[string]string{
				"cleanup.policy": "compact,delete", "message.timestamp.type": "LogAppendTime", "compression.type": "zstd",
				"unclean.leader.election.enable": "true",
			}[name]
			if other == "" || other == value {
				other = map[bool]string{true: "CreateTime", false: "86400001"}[name == "message.timestamp.type"]
			}
			require.NoError(t, admin.SetTopicSettings(t.Context(), topic.Name, map[string]string{name: other}, false))
			require.Equal(t, []topics.Difference{{Topic: topic.Name, What: name, Want: value, Is: other, Fix: topics.FixAlign}}, check(t, admin, wanted))
			require.NoError(t, admin.SetTopicSettings(t.Context(), topic.Name, map[string]string{name: value}, false))
		}
	}
	require.NoError(t, admin.SetTopicSettings(t.Context(), deploy.ReceiptsTopic, map[string]string{"max.message.bytes": "4096"}, false))
	found := check(t, admin, wanted)
	require.Len(t, found, 1)
	require.Equal(t, "max.message.bytes", found[0].What)
	require.Equal(t, "not set", found[0].Want)
}

func TestTopicsAreLookedForUnderTheirConfiguredNames(t *testing.T) {
	admin, _ := cluster(t, 1)
	layout, err := deploy.Topics()
	require.NoError(t, err)
	wanted, err := topics.Wanted(t.Context(), admin, layout, map[string]string{deploy.EventsTopic: "kz.consent.events"})
	require.NoError(t, err)
	create(t, admin, wanted)
	there, err := admin.Topics(t.Context(), "kz.consent.events", deploy.EventsTopic)
	require.NoError(t, err)
	require.Contains(t, there, "kz.consent.events")
	require.NotContains(t, there, deploy.EventsTopic)
	require.Empty(t, check(t, admin, wanted))
}

func TestSettingsAreBroughtBackExceptWhereRecordsWouldGo(t *testing.T) {
	admin, wanted := cluster(t, 1)
	create(t, admin, wanted)
	set := func(topic string, settings map[string]string) {
		require.NoError(t, admin.SetTopicSettings(t.Context(), topic, settings, false))
	}
	set(deploy.EventsTopic, map[string]string{"cleanup.policy": "compact", "retention.ms": "1000"})
	set(deploy.ParkedTopic, map[string]string{"retention.ms": "-1"}) // keeps more than it has to
	set(deploy.ReceiptsTopic, map[string]string{"max.message.bytes": "4096"})

	a := topics.Align(check(t, admin, wanted))
	require.Equal(t, []topics.Change{{Topic: deploy.EventsTopic, Settings: map[string]string{
		"cleanup.policy": "delete", "retention.ms": "315619200000",
	}}}, a.Changes)
	require.Len(t, a.Refused, 1)
	require.Equal(t, deploy.ParkedTopic, a.Refused[0].Topic)
	require.Contains(t, a.Refused[0].Fix, "refused")
	require.Len(t, a.Left, 1)
	require.NoError(t, topics.Apply(t.Context(), admin, a.Changes))

	left := topics.Align(check(t, admin, wanted))
	require.Empty(t, left.Changes)
	require.Len(t, left.Refused, 1)
}

// setter notes what it is told, and refuses one topic.
type setter struct {
	refuses string
	set     []string
}

func (s *setter) SetTopicSettings(_ context.Context, topic string, _ map[string]string, check bool) error {
	if topic == s.refuses {
		return context.DeadlineExceeded
	}
	if !check {
		s.set = append(s.set, topic)
	}
	return nil
}

func TestNothingIsSetUnlessAllCanBe(t *testing.T) {
	s := &setter{refuses: "b"}
	require.Error(t, topics.Apply(t.Context(), s, []topics.Change{{Topic: "a"}, {Topic: "b"}}))
	require.Empty(t, s.set)
	s.refuses = ""
	require.NoError(t, topics.Apply(t.Context(), s, []topics.Change{{Topic: "a"}, {Topic: "b"}}))
	require.Equal(t, []string{"a", "b"}, s.set)
}
