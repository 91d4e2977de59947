package slotstest

import (
	"context"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events"
)

// BatchTurns is how many turns the benchmarks act on at once: those of a busy
// partition's batch.
const BatchTurns = 200

// BenchmarkAct measures an action on 200 subjects who stop and agree in turns,
// per turn; with a real Redis also the processor time of Redis.
func (e *Engine) BenchmarkAct(b *testing.B, action consumers.Action, purposes []events.Purpose, server *redis.Client) {
	b.Helper()
	stopped, allowed := e.Standing(b, nil, purposes), e.Standing(b, purposes, nil)
	turns := make([]consumers.Turn, BatchTurns)
	for i := range turns {
		turns[i] = e.Decide(b, Subject(i), stopped)
	}
	require.NoError(b, action.Act(b.Context(), e.Slot, turns)) // sends the script
	before, known := cpuMicros(server)
	b.ReportAllocs()
	for round := 0; b.Loop(); round++ {
		for i := range turns {
			turns[i].Version.Offset += BatchTurns
			if turns[i].Standing = stopped; round%2 == 0 {
				turns[i].Standing = allowed
			}
		}
		require.NoError(b, action.Act(b.Context(), e.Slot, turns))
	}
	n := float64(b.N * BatchTurns)
	b.ReportMetric(float64(b.Elapsed().Microseconds())/n, "µs/turn")
	if after, _ := cpuMicros(server); known {
		b.ReportMetric((after-before)/n, "redis-cpu-µs/turn")
	}
}

// cpuMicros returns how much processor time the server's main thread has used.
// The embedded one does not say.
func cpuMicros(server *redis.Client) (float64, bool) {
	cpu := server.InfoMap(context.Background(), "cpu")
	user, err1 := strconv.ParseFloat(cpu.Item("CPU", "used_cpu_user_main_thread"), 64)
	sys, err2 := strconv.ParseFloat(cpu.Item("CPU", "used_cpu_sys_main_thread"), 64)
	return (user + sys) * 1e6, err1 == nil && err2 == nil
}
