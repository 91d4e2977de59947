//go:build real

package doctor_test

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/oncall/cluster"
	"github.com/kelisim/kelisim/internal/oncall/doctor"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestHolesInTheRulesOfARealAuthorizerAreFound(t *testing.T) {
	b := testenv.StartKafka(t, testenv.KafkaConfig{Settings: map[string]string{
		"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":           "User:ANONYMOUS",
	}})
	for _, topic := range []string{deploy.EventsTopic, deploy.ReceiptsTopic} {
		rules := kadm.NewACLs().Topics(topic).ResourcePatternType(kadm.ACLPatternLiteral).
			Operations(kadm.OpWrite).Allow("User:web").AllowHosts("*")
		_, err := b.Admin(t).CreateACLs(t.Context(), rules)
		require.NoError(t, err)
	}
	layout, err := deploy.Topics()
	require.NoError(t, err)
	k, err := cluster.New(cluster.Config{
		Kafka: stream.Config{Brokers: b.Addrs()}, Topics: daemon.Defaults().Topics,
		Connect: func() (redis.UniversalClient, error) { return nil, nil },
	})
	require.NoError(t, err)
	found := make(map[string]string)
	for _, check := range doctor.Checks() {
		if check.Name == "acls" {
			for _, f := range doctor.Run(t.Context(), &doctor.Env{Cluster: k, Layout: layout}, []doctor.Check{check}) {
				found[f.Object] = f.Found
			}
		}
	}
	require.NotContains(t, found, deploy.EventsTopic)
	require.Contains(t, found[deploy.ReceiptsTopic], "User:web may write")
	require.Contains(t, found[deploy.PoliciesTopic], "no rule names it")
}
