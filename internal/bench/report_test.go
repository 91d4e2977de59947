package bench

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testservice"
)

// report gathers rows: rate and CPU of this process per event.
type report struct {
	n    int
	rows []*row
}

type row struct {
	name  string
	rates []float64 // events a second
	cpu   []float64 // of this process, microseconds an event
	redis []float64 // of the Redis, the same; on an embedded one it is in cpu
}

func (r *report) row(name string) *row {
	for _, row := range r.rows {
		if row.name == name {
			return row
		}
	}
	r.rows = append(r.rows, &row{name: name})
	return r.rows[len(r.rows)-1]
}

// measure runs a row, unless KELISIM_BENCH_ONLY names a part of other rows.
func (r *report) measure(name string, n int, server *testenv.RedisServer, b *testing.B, f func()) {
	if !chosen(name) {
		return
	}
	if server != nil {
		server.Flush(b)
	}
	cpu, redis, began := cpuTime(), redisTime(b, server), time.Now()
	f()
	took, used := time.Since(began), cpuTime()-cpu
	row := r.row(name)
	row.rates = append(row.rates, float64(n)/took.Seconds())
	row.cpu = append(row.cpu, micros(used, n))
	row.redis = append(row.redis, micros(redisTime(b, server)-redis, n))
}

// service measures one of our services from its start until everything is decided,
// and until everything is acted on too. The processor time is that of both.
func (r *report) service(name string, n int, server *testenv.RedisServer, b *testing.B, cfg testservice.Config) {
	if !chosen(name) {
		return
	}
	server.Flush(b)
	cpu, redis, began := cpuTime(), redisTime(b, server), time.Now()
	e := testservice.Start(b, cfg)
	starting := time.Since(began)
	decided, acted := e.Wait(b, int64(n))
	e.Stop(b)
	used := cpuTime() - cpu
	first, second := r.row(name+", decided"), r.row(name+", and acted on")
	first.rates = append(first.rates, float64(n)/(starting+decided).Seconds())
	second.rates = append(second.rates, float64(n)/(starting+acted).Seconds())
	second.cpu = append(second.cpu, micros(used, n))
	second.redis = append(second.redis, micros(redisTime(b, server)-redis, n))
}

func micros(used time.Duration, n int) float64 { return float64(used.Microseconds()) / float64(n) }

// chosen says whether KELISIM_BENCH_ONLY, a part of names, leaves the row in.
func chosen(name string) bool { return strings.Contains(name, os.Getenv("KELISIM_BENCH_ONLY")) }

// cpuTime returns the CPU time of this process. On embedded servers it holds
// theirs too.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// redisTime returns the CPU time of a Redis, or nothing where it is embedded.
func redisTime(b *testing.B, server *testenv.RedisServer) (used time.Duration) {
	if server == nil || !testenv.Real() {
		return 0
	}
	info := server.Client(b).InfoMap(b.Context(), "cpu")
	for _, name := range []string{"used_cpu_user", "used_cpu_sys"} {
		seconds, err := strconv.ParseFloat(info.Item("CPU", name), 64)
		require.NoError(b, err)
		used += time.Duration(seconds * float64(time.Second))
	}
	return used
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

func (r *report) print(repeat int) {
	limit, team, peer := median(r.row("limit: Redis, batched script alone").rates), median(r.row("the loop a team would write").rates), median(r.row("franz-go, tuned, one write per event").rates)
	limit = min(limit, median(r.row("limit: fetch and walk alone").rates))
	fmt.Printf("\nreplay of %d events, each subject %d times, real servers: %v (medians of %d)\n", r.n, repeat, testenv.Real(), rounds)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "\tevents/s\tCPU us/event\tof Redis\t/ smaller limit\t/ team's loop\t/ franz-go\t")
	for _, row := range r.rows {
		rate := median(row.rates)
		used, redis := "-", "-" // of both rows of a service, in the second
		if len(row.cpu) > 0 {
			used, redis = fmt.Sprintf("%.2f", median(row.cpu)), fmt.Sprintf("%.2f", median(row.redis))
		}
		_, _ = fmt.Fprintf(w, "%s\t%.0f\t%s\t%s\t%.2f\t%.1f\t%.2f\t\n", row.name, rate, used, redis, rate/limit, rate/team, rate/peer)
	}
	_ = w.Flush()
}
