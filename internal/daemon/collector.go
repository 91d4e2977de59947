package daemon

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// heapGrowth is by how much the heap may grow between two collections, in
	// percent of what lives. A consumer keeps states for as long as it runs, and
	// each collection walks all of them; with 100, Go's own, a replay spends a tenth
	// of its processor time on that.
	heapGrowth = 300
	// containerLimit is the file that says how much memory the container may use
	// (Linux, control groups version 2), in bytes, or "max".
	containerLimit = "/sys/fs/cgroup/memory.max"
)

// TuneCollector has the garbage collector run seldom while there is memory, and
// often when nine tenths of what the container may use are used. GOGC and
// GOMEMLIMIT in the environment win.
func TuneCollector() { tuneCollector(containerLimit, os.LookupEnv) }

func tuneCollector(limitFile string, lookup func(string) (string, bool)) {
	if _, chosen := lookup("GOGC"); !chosen {
		debug.SetGCPercent(heapGrowth)
	}
	if _, chosen := lookup("GOMEMLIMIT"); chosen {
		return
	}
	text, _ := os.ReadFile(limitFile) // not there: no container, no limit
	if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && limit > 0 && limit < math.MaxInt64/9 {
		debug.SetMemoryLimit(limit * 9 / 10)
	}
}
