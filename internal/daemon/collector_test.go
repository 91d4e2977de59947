package daemon

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheCollectorKeepsToTheContainerAndToTheEnvironment(t *testing.T) {
	growth, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetGCPercent(growth); debug.SetMemoryLimit(limit) })
	file := filepath.Join(t.TempDir(), "memory.max")
	for _, c := range []struct {
		name, file string
		set        map[string]string
		growth     int
		limit      int64
	}{
		{"in a container", "1000000000\n", nil, heapGrowth, 900_000_000},
		{"in one without a limit", "max\n", nil, heapGrowth, math.MaxInt64},
		{"in one that says nonsense", "-1\n", nil, heapGrowth, math.MaxInt64},
		{"as the environment says", "1000000000\n", map[string]string{"GOGC": "50", "GOMEMLIMIT": "1GiB"}, 100, math.MaxInt64},
	} {
		debug.SetGCPercent(100)
		debug.SetMemoryLimit(math.MaxInt64)
		require.NoError(t, os.WriteFile(file, []byte(c.file), 0o600))
		tuneCollector(file, func(name string) (string, bool) { v, ok := c.set[name]; return v, ok })
		require.Equal(t, c.growth, debug.SetGCPercent(100), c.name)
		require.Equal(t, c.limit, debug.SetMemoryLimit(-1), c.name)
	}
}
