package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/testenv"
)

// asProgram makes the test binary be the program.
const asProgram = "KELISIM_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// A container's end: the process is asked once, while Redis is not there, and
// ends well in a moment. Everything it wrote is its own log.
func TestSignalEndsTheProcess(t *testing.T) {
	program, err := os.Executable()
	require.NoError(t, err)
	kafka := testenv.Kafka(t)
	topic := kafka.Topic(t, testenv.TopicSpec{Name: "events"})
	cmd := exec.CommandContext(t.Context(), program,
		"affiliate", "--topics-policies", kafka.Topic(t, testenv.TopicSpec{Name: "policies"}), "--kafka-brokers", kafka.Addr(), "--topics-events", topic, "--redis-addrs", "127.0.0.1:1", "--admin-addr", "127.0.0.1:0", "--log-format", "json")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var logged output
	cmd.Stderr = &logged
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool {
		return regexp.MustCompile(`"not started yet".*redis is unavailable`).MatchString(logged.String())
	}, 30*time.Second, 5*time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait(), logged.String())
	require.Contains(t, logged.String(), `"stopping"`)
	for line := range strings.Lines(logged.String()) {
		require.True(t, json.Valid([]byte(line)), "not a line of the log: %s", line)
	}
}

func TestFaultMakesTheProcessFail(t *testing.T) {
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program, "config", "--kafka-brokers", "nowhere")
	cmd.Env = []string{asProgram + "=1"}
	out, err := cmd.CombinedOutput()
	require.Equal(t, 1, err.(*exec.ExitError).ExitCode())
	require.Contains(t, string(out), `kafka.brokers: "nowhere" is not host:port`)
	require.Contains(t, string(out), "shutdown.budget", "the table is printed all the same")
}
