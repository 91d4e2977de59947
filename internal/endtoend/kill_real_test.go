//go:build real

package endtoend

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testservice"
)

const (
	killPartitions = 12
	kills          = 10
	killSubjects   = 100_000
)

// killEvents is how long the log is: a million, or KELISIM_KILL_EVENTS.
func killEvents(t *testing.T) int {
	if text := os.Getenv("KELISIM_KILL_EVENTS"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		return n
	}
	return 1_000_000
}

// The consumer is the program that production runs, killed where it stands.
func TestKilledTenTimesTheCacheEqualsThePureFold(t *testing.T) {
	broker, server := testenv.Kafka(t), testenv.Redis(t)
	topics := testservice.NewTopics(t, broker, killPartitions)
	producer, err := stream.NewProducer(stream.ProducerConfig{Config: stream.Config{Brokers: []string{broker.Addr()}}})
	require.NoError(t, err)
	defer func() { _ = producer.Close(context.Background()) }()
	n := killEvents(t)
	publishSynthetic(t, producer, topics.Events, 1, killSubjects, n)
	want := foldLog(t, broker.Addr(), topics.Events, killPartitions)
	require.EqualValues(t, n, want.events)

	layout := cache.Layout{Service: "marketing", Topic: topics.Events, Generation: 1, Partitions: killPartitions, Buckets: cache.DefaultBuckets}
	client := server.Client(t)
	daemon := &daemon{t: t, binary: buildConsentd(t), args: []string{
		"marketing", "--kafka-brokers", broker.Addr(), "--redis-addrs", server.Addr(), "--admin-addr", "127.0.0.1:0",
		"--topics-events", topics.Events, "--topics-parked", topics.Parked, "--topics-receipts", topics.Receipts,
		"--topics-policies", topics.Policies,
	}}
	daemon.start()
	reader, err := cache.NewRedis(t.Context(), client, layout, nil)
	require.NoError(t, err)
	watch := startWatch(t, client, reader, layout, want)

	killed, last := 0, int64(0)
	ticks := time.NewTicker(5 * time.Millisecond) // it is another process: there is nothing to wait on but its progress
	defer ticks.Stop()
	for step := 1; ; step++ {
		<-ticks.C
		done := progress(reader, layout)
		if killed < kills && done > last && done >= int64(n)*int64(killed)/(kills+1) {
			daemon.kill() // in the middle of something: it has just written
			killed, last = killed+1, progress(reader, layout)
			t.Logf("kill -9 number %d at %d of %d events", killed, last, n)
			daemon.start()
		}
		if done >= int64(n) && killed == kills {
			break
		}
		require.Less(t, step, 60_000, "stuck at %d of %d events", done, n)
	}
	checks := watch.stop()
	t.Logf("%d answers watched meanwhile, %d of them allowed", checks.all, checks.allowed)
	require.NotZero(t, checks.allowed, "the watch saw nothing")

	for s, state := range want.states {
		view, err := reader.Lookup(t.Context(), s)
		require.NoError(t, err)
		require.Equal(t, state, view.State, "%v", s)
		require.Equal(t, want.parked[s], view.Held, "%v", s)
	}
	daemon.kill()
}

// progress returns how many events are applied, over all partitions.
func progress(r *cache.Redis, layout cache.Layout) (n int64) {
	for _, m := range testservice.Marks(r, layout) {
		n += m.Next
	}
	return n
}

func buildConsentd(t *testing.T) string {
	binary := filepath.Join(t.TempDir(), "consentd")
	out, err := exec.Command("go", "build", "-o", binary, "github.com/kelisim/kelisim/cmd/consentd").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return binary
}

// daemon is a consentd process.
type daemon struct {
	t      *testing.T
	binary string
	args   []string
	cmd    *exec.Cmd
}

func (d *daemon) start() {
	d.cmd = exec.Command(d.binary, d.args...)
	d.cmd.Env = []string{} // not what the test is configured by
	d.cmd.Stderr = os.Stderr
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(d.t, d.cmd.Start())
}

func (d *daemon) kill() {
	require.NoError(d.t, d.cmd.Process.Kill())
	_ = d.cmd.Wait() // killed: says so
}

// watched counts answers.
type watched struct{ all, allowed int }

type watch struct {
	cancel context.CancelFunc
	ended  chan watched
}

func (w *watch) stop() watched {
	w.cancel()
	return <-w.ended
}

// startWatch asks the guard all the time, and holds every allow against the log:
// at the position that the cache had before the question the pure fold must
// have allowed it, or at a step that it took meanwhile.
func startWatch(t *testing.T, client redis.UniversalClient, r *cache.Redis, layout cache.Layout, want *told) *watch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{cancel: cancel, ended: make(chan watched, 1)}
	rules := events.SeedRules()
	ask := guard.New(client, "marketing", guard.WithMaxStaleness(time.Hour), guard.WithDeadline(time.Second))
	purposes := []events.Purpose{"promotion", "contests", "surveys", "research"}
	subjects := make([]events.Subject, 0, len(want.states))
	for s := range want.states {
		subjects = append(subjects, s)
	}
	go func() {
		var seen watched
		defer func() { w.ended <- seen }()
		rnd := rand.New(rand.NewPCG(1, 1))
		for ctx.Err() == nil {
			s := subjects[rnd.IntN(len(subjects))]
			before, err := r.Lookup(ctx, s)
			if err != nil {
				continue
			}
			for _, p := range purposes {
				d := ask.Check(ctx, s, p)
				seen.all++
				if !d.Allowed {
					continue
				}
				seen.allowed++
				after, err := r.Lookup(ctx, s)
				if err != nil {
					continue
				}
				if version, _ := after.State.Version(); !want.permits(rules, s, p, before.Next, version.Offset) {
					t.Errorf("%v, %s: allowed by %v, though everything before %d was applied and denies", s, p, d.By, before.Next)
				}
			}
		}
	}()
	return w
}

// permits says whether an allow can be true of a cache that had applied
// everything before next when it was asked, and this subject's events up to
// version when it had answered: the log allows at the one or at a step between.
func (o *told) permits(rules *events.Rules, s events.Subject, p events.Purpose, next, version int64) bool {
	rule, _ := rules.Rule(p)
	allowed := false
	for _, c := range o.lives[s] {
		if c.offset >= next && allowed || c.offset > version {
			break
		}
		allowed = c.standing.Allowed.Has(rule.Code)
	}
	return allowed
}
