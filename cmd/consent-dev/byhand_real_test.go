//go:build real

package main

import (
	"context"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/testenv"
)

// The printed lines are run as they stand, by a shell and kcat, against Apache
// Kafka.
func TestWithdrawalByHandWithKcat(t *testing.T) {
	kafka, redis := testenv.StartKafka(t, testenv.KafkaConfig{}), testenv.Redis(t)
	ctx, interrupt := context.WithCancel(t.Context())
	var out output
	ended := make(chan error, 1)
	go func() {
		args := []string{"--kafka", kafka.Addr(), "--redis", redis.Addr(), "--story-every", "1h", "--subjects", "10"}
		ended <- run(ctx, args, nil, &out, io.Discard)
	}()
	out.waitFor(t, `Read the log along`)
	out.waitFor(t, `try-me: marketing allow`)
	lines := byHand(kafka.Addr(), events.Withdrawn, "promotion")
	require.Contains(t, out.String(), strings.Join(lines, "\n"))
	said, err := exec.CommandContext(t.Context(), "bash", "-c", strings.Join(lines, "\n")).CombinedOutput()
	require.NoError(t, err, string(said))
	out.waitFor(t, `try-me: marketing allow \(granted\) → deny \(withdrawn\)\n`)
	interrupt()
	require.NoError(t, <-ended)
}
