package doctor

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/oncall/cluster"
	"github.com/kelisim/kelisim/internal/testenv"
)

func topicRule(principal, operation, topic string) stream.ACL {
	return stream.ACL{Resource: onTopic, Name: topic, Principal: principal, Host: "*", Operation: operation}
}

// rightRules are rules under which everybody may do what they must, and no more.
func rightRules() []stream.ACL {
	return []stream.ACL{
		topicRule("User:web", mayWrite, deploy.EventsTopic),
		{Resource: onGroup, Name: "consent-marketing", Prefix: true, Principal: "User:marketing", Host: "*", Operation: mayRead},
		{Resource: onGroup, Name: "consent-policy", Principal: "User:policy", Host: "*", Operation: mayRead},
		topicRule("User:policy", mayWrite, deploy.EventsTopic),
		topicRule("User:marketing", mayRead, deploy.EventsTopic),
		topicRule("User:marketing", mayWrite, deploy.ReceiptsTopic),
		topicRule("User:marketing", mayWrite, deploy.ParkedTopic),
		topicRule("User:ops", mayAll, "*"),
		topicRule("User:other", mayAll, "orders.v1"),
	}
}

func TestWhoMayDoTooMuchIsNamed(t *testing.T) {
	testenv.Parallel(t)
	layout, err := deploy.Topics()
	require.NoError(t, err)
	k, err := cluster.New(cluster.Config{Topics: daemon.Defaults().Topics})
	require.NoError(t, err)
	env := &Env{Cluster: k, Operators: []string{"User:ops"}, Services: []Service{{Name: "marketing", Group: "consent-marketing"}, {Name: "policy", Group: "consent-policy", Decides: true}}}
	judge := func(more ...stream.ACL) []Finding {
		return access{append(rightRules(), more...), env}.judge(layout.Topics)
	}
	require.Empty(t, judge())
	for _, c := range []struct {
		rule     stream.ACL
		severity Severity
		found    string
	}{
		{topicRule("User:*", mayWrite, deploy.EventsTopic), Critical, "everybody can forge"},
		{topicRule("User:web", "Delete", deploy.EventsTopic), Critical, "may Delete the topic"},
		{topicRule("User:web", "AlterConfigs", deploy.EventsTopic), Critical, "may AlterConfigs the topic"},
		{topicRule("User:web", mayWrite, deploy.PoliciesTopic), Critical, "no operator"},
		{topicRule("User:marketing", mayWrite, deploy.AuditTopic), Critical, "no operator"},
		{topicRule("User:web", mayWrite, deploy.ReceiptsTopic), Critical, "can forge proofs"},
		{topicRule("User:marketing", mayWrite, deploy.EventsTopic), Warning, "may also write decisions"},
		{stream.ACL{Resource: onCluster, Name: "kafka-cluster", Principal: "User:web", Host: "*", Operation: "Alter"}, Critical, "may Alter the cluster"},
		{stream.ACL{Resource: onTopic, Name: "consent.parked", Prefix: true, Principal: "User:web", Host: "*", Operation: mayWrite}, Critical, "can forge proofs"},
	} {
		found := judge(c.rule)
		require.Len(t, found, 1, "%+v", c.rule)
		require.Equal(t, c.severity, found[0].Severity)
		require.Contains(t, found[0].Found, c.rule.Principal)
		require.Contains(t, found[0].Found, c.found)
	}
	deny := topicRule("User:web", mayWrite, deploy.ReceiptsTopic)
	deny.Deny = true
	require.Empty(t, judge(topicRule("User:web", mayWrite, deploy.ReceiptsTopic), deny))
}
