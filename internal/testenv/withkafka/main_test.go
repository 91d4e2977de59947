package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNoCommandIsAUsageError(t *testing.T) {
	for _, args := range [][]string{nil, {"--"}} {
		var notes bytes.Buffer
		require.Equal(t, statusUsage, run(t.Context(), args, nil, nil, &notes))
		require.Contains(t, notes.String(), "usage: withkafka")
	}
}
