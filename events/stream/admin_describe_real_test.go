//go:build real

package stream_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestDeadBrokerIsSeenInWhoIsInSync(t *testing.T) {
	b := testenv.StartKafka3(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "dead", Partitions: 3})
	b.Kill(t, 2)
	a, err := stream.NewAdmin(stream.Config{Brokers: b.Addrs()[:2]})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		found, err := a.Topics(t.Context(), topic)
		if err != nil {
			return false
		}
		for _, p := range found[topic].Partitions {
			if p.Leader == 2 || len(p.InSync) != 2 || len(p.Replicas) != 3 || len(p.Offline) != 1 {
				return false
			}
		}
		return true
	}, time.Minute, 100*time.Millisecond)
	c, err := a.Cluster(t.Context())
	require.NoError(t, err)
	require.Len(t, c.Brokers, 2)
}

func TestRulesOfAnAuthorizerAreRead(t *testing.T) {
	_, err := admin(t, testenv.Kafka(t)).ACLs(t.Context())
	require.ErrorIs(t, err, stream.ErrNoAuthorizer)

	b := testenv.StartKafka(t, testenv.KafkaConfig{Settings: map[string]string{
		"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":           "User:ANONYMOUS",
	}})
	aclRules(t, b)
	requireACLs(t, b)
}

// aclRules are written with another library and read with ours.
func aclRules(t *testing.T, b *testenv.Broker) {
	rules := kadm.NewACLs().Topics("consent.events.v1").ResourcePatternType(kadm.ACLPatternLiteral).
		Operations(kadm.OpWrite).Allow("User:web").AllowHosts("*")
	results, err := b.Admin(t).CreateACLs(t.Context(), rules)
	require.NoError(t, err)
	for _, r := range results {
		require.NoError(t, r.Err)
	}
	rules = kadm.NewACLs().Groups("consent-").ResourcePatternType(kadm.ACLPatternPrefixed).
		Operations(kadm.OpRead).Deny("User:web").DenyHosts("*")
	_, err = b.Admin(t).CreateACLs(t.Context(), rules)
	require.NoError(t, err)
}

func requireACLs(t *testing.T, b *testenv.Broker) {
	all, err := admin(t, b).ACLs(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []stream.ACL{
		{Resource: "Topic", Name: "consent.events.v1", Principal: "User:web", Host: "*", Operation: "Write"},
		{Resource: "Group", Name: "consent-", Prefix: true, Principal: "User:web", Host: "*", Operation: "Read", Deny: true},
	}, all)
}
