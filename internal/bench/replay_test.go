package bench

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testservice"
)

// buckets per partition: sixteen to thirty-two subjects of a million in each.
const buckets = 4096

// idle is an action that does nothing, so that a bench can tell the engine from
// what a service adds.
type idle struct{}

func (idle) Act(context.Context, consumers.Slot, []consumers.Turn) error { return nil }

// rounds is how often every row is measured; medians are printed.
const rounds = 3

// BenchmarkReplay reads a whole topic into an empty Redis, beside the loop that
// a team would write, a tuned franz-go consumer, and the limits of Redis and of
// fetching alone.
func BenchmarkReplay(b *testing.B) {
	for _, repeat := range []int{1, 10} {
		b.Run(fmt.Sprintf("each subject %d times", repeat), func(b *testing.B) {
			replay(b, repeat)
		})
	}
}

func replay(b *testing.B, repeat int) {
	rules := events.SeedRules()
	n := size(b)
	all := history(b, rules, n, repeat)
	broker := testenv.Kafka(b)
	topics := testservice.NewTopics(b, broker, partitions)
	topic := topics.Events
	fill(b, broker, rules, topic, all)
	subjects := make([]int, n)
	for i := range all {
		_, _ = fmt.Sscanf(all[i].Subject.Reveal(), "subject-%d", &subjects[i])
	}
	few := min(n, 20_000) // of the slow loop: its rate does not depend on how long it runs

	r := &report{n: n}
	for round := range rounds {
		group := fmt.Sprintf("%s-%d", topic, round)
		server := testenv.Redis(b)
		addr := server.Addr()
		c := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{addr}, DisableIdentity: true})
		r.measure("limit: Redis, batched script alone", n, server, b, func() { limitRedis(b, addr, subjects) })
		r.measure("limit: fetch and walk alone", n, nil, b, func() { limitFetch(b, broker.Addr(), topic, n) })
		r.measure("franz-go, tuned, one write per event", n, server, b, func() { franz(b, broker.Addr(), addr, topic, group+"-franz", n) })
		r.measure("the loop a team would write", few, server, b, func() { teamLoop(b, broker.Addr(), addr, topic, group+"-team", few) })
		for name, service := range map[string]consumers.Service{
			"kelisim engine":                       {Name: "marketing", Purposes: marketing.Purposes(), Action: idle{}},
			"kelisim marketing, stops carried out": marketing.Service(must(marketing.New(c, rules, nil))),
		} {
			server.Flush(b)
			var acted time.Duration
			r.measure(name+": decided", n, nil, b, func() {
				e := testservice.Start(b, testservice.Config{
					Service: service, Kafka: broker.Addr(), Redis: c, Topics: topics, Buckets: buckets,
					Group: group + strings.ReplaceAll(name, " ", "-"),
				})
				decided, all := e.Wait(b, int64(n))
				acted = all - decided
				e.Stop(b)
			})
			r.row(name + ": acted on all, later by").seconds = append(r.row(name+": acted on all, later by").seconds, acted.Seconds())
		}
		_ = c.Close()
	}
	r.print(repeat)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// report gathers rows: rate and CPU of this process per event.
type report struct {
	n    int
	rows []*row
}

type row struct {
	name    string
	rates   []float64 // events a second
	cpu     []float64 // microseconds an event
	seconds []float64
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
	if !strings.Contains(name, os.Getenv("KELISIM_BENCH_ONLY")) {
		return
	}
	if server != nil {
		server.Flush(b)
	}
	cpu, began := cpuTime(), time.Now()
	f()
	took, used := time.Since(began), cpuTime()-cpu
	row := r.row(name)
	row.rates = append(row.rates, float64(n)/took.Seconds())
	row.cpu = append(row.cpu, float64(used.Microseconds())/float64(n))
}

// cpuTime returns the CPU time of this process. On embedded servers it holds
// theirs too.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
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
	_, _ = fmt.Fprintln(w, "\tevents/s\tCPU us/event\t/ smaller limit\t/ team's loop\t/ franz-go\t")
	for _, row := range r.rows {
		if len(row.seconds) > 0 {
			_, _ = fmt.Fprintf(w, "%s\t%.2f s\t\t\t\t\t\n", row.name, median(row.seconds))
			continue
		}
		rate := median(row.rates)
		_, _ = fmt.Fprintf(w, "%s\t%.0f\t%.2f\t%.2f\t%.1f\t%.2f\t\n", row.name, rate, median(row.cpu), rate/limit, rate/team, rate/peer)
	}
	_ = w.Flush()
}
