//go:build real

package main

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCommandRunsBesideAKafkaThatEndsWithIt(t *testing.T) {
	var out, notes bytes.Buffer
	got := run(t.Context(), []string{"--", "sh", "-c", `echo "$KELISIM_TEST_KAFKA"; exit 7`}, nil, &out, &notes)
	require.Equal(t, 7, got, notes.String())
	addr := strings.TrimSpace(out.String())
	require.NotEmpty(t, addr)
	_, err := net.Dial("tcp", addr)
	require.Error(t, err, "Kafka is still there")
}

func TestInterruptEndsTheCommand(t *testing.T) {
	ctx, interrupt := context.WithTimeout(t.Context(), time.Minute)
	defer interrupt()
	var notes bytes.Buffer
	started := &signalWriter{seen: interrupt}
	got := run(ctx, []string{"sh", "-c", `echo started; exec sleep 1000`}, nil, started, &notes)
	require.Equal(t, statusSignal+15, got, notes.String())
}

// signalWriter interrupts at the first output.
type signalWriter struct{ seen context.CancelFunc }

// Write takes note that the command runs.
func (w *signalWriter) Write(p []byte) (int, error) {
	w.seen()
	return len(p), nil
}
