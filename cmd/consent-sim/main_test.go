package main

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPrintsBothTables(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(context.Background(), []string{"-histories", "200"}, &out, io.Discard))
	require.Equal(t, 2, strings.Count(out.String(), "| two keys |"))
	require.Equal(t, 2, strings.Count(out.String(), "| all of these, skew 60 s |"))
	require.Contains(t, out.String(), "with the producer's measures")

	var again strings.Builder
	require.NoError(t, run(context.Background(), []string{"-histories", "200", "-workers", "3"}, &again, io.Discard))
	require.Equal(t, out.String(), again.String())
}

func TestRefusesWhatItCannotRun(t *testing.T) {
	for _, args := range [][]string{{"-histories", "0"}, {"-workers", "0"}, {"-nonsense"}} {
		require.Error(t, run(context.Background(), args, io.Discard, io.Discard), args)
	}
}
