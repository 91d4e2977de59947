package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestReplayWaitsWhileThePauseFileIsThere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "paused")
	require.NoError(t, held(t.Context(), file), "without it nobody waits")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		go func() { ended <- held(t.Context(), file) }()
		time.Sleep(time.Hour) // by the bubble's clock: it ends once everybody else waits
		select {
		case err := <-ended:
			require.Fail(t, "it went on", err)
		default:
		}
		require.NoError(t, os.Remove(file))
		require.NoError(t, <-ended)
	})
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, held(ctx, file), context.Canceled)
}
