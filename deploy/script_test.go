package deploy_test

import (
	"flag"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/deploy"
)

var update = flag.Bool("update", false, "write create-topics.sh anew")

func TestScriptIsInStep(t *testing.T) {
	layout, err := deploy.Topics()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("create-topics.sh", layout.Script(), 0o755))
	}
	script, err := os.ReadFile("create-topics.sh")
	require.NoError(t, err)
	require.Equal(t, string(layout.Script()), string(script), "run go generate ./deploy")
}

func TestScriptSpreadsTopicsOverTheBrokersThereAre(t *testing.T) {
	for brokers, want := range map[string]string{
		"1": "--replication-factor 1 --config min.insync.replicas=1",
		"2": "--replication-factor 2 --config min.insync.replicas=1",
		"3": "--replication-factor 3 --config min.insync.replicas=2",
		"9": "--replication-factor 3 --config min.insync.replicas=2",
	} {
		cmd := exec.Command("bash", "create-topics.sh", "kafka:9092", brokers)
		cmd.Env = append(os.Environ(), "KAFKA_TOPICS=echo")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "--bootstrap-server kafka:9092 --create --if-not-exists --topic "+
			deploy.EventsTopic+" --partitions 12 "+want, "%s brokers", brokers)
	}
}
