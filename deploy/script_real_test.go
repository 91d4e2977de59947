//go:build real

package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testenv/realkafka"
)

// kafkaTopics is Kafka's kafka-topics.sh, as far as our script needs it.
func kafkaTopics(t *testing.T) string {
	tool := filepath.Join(t.TempDir(), "kafka-topics.sh")
	java, err := realkafka.Java(t.Context())
	require.NoError(t, err)
	script := "#!/bin/sh\nexec java"
	for _, arg := range java {
		script += fmt.Sprintf(" '%s'", arg)
	}
	script += " org.apache.kafka.tools.TopicCommand \"$@\"\n"
	require.NoError(t, os.WriteFile(tool, []byte(script), 0o700))
	return tool
}

func TestKafkaTakesTheTopics(t *testing.T) {
	b := testenv.StartKafka(t, testenv.KafkaConfig{})
	tool := kafkaTopics(t)
	for range 2 { // the second run finds them all there
		cmd := exec.Command("bash", "create-topics.sh", b.Addr(), "1")
		cmd.Env = append(os.Environ(), "KAFKA_TOPICS="+tool)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}

	layout, err := deploy.Topics()
	require.NoError(t, err)
	admin := b.Admin(t)
	for _, want := range layout.ForBrokers(1).Topics {
		topics, err := admin.ListTopics(t.Context(), want.Name)
		require.NoError(t, err)
		require.Len(t, topics[want.Name].Partitions, want.Partitions, want.Name)
		configs, err := admin.DescribeTopicConfigs(t.Context(), want.Name)
		require.NoError(t, err)
		got := make(map[string]string)
		for _, c := range configs[0].Configs {
			got[c.Key] = c.MaybeValue()
		}
		for key, value := range want.Config {
			require.Equal(t, value, got[key], "%s: %s", want.Name, key)
		}
	}
}
