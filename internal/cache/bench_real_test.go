//go:build real

package cache_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
	"github.com/kelisim/kelisim/internal/testenv"
)

// The population of the measurements: every subject decided about five purposes,
// one at a time, which is the largest state that the memory goal speaks of.
const (
	population     = 100_000
	benchPartition = 8
	perRound       = 32_000 // changes that one contender writes between two looks at the clock
	rounds         = 7      // medians of these; contenders take turns, so that noise hits all
	lanes          = 2      // connections that write: two saturate one Redis thread
)

// limitScript is what any team would write: compare and set, per key, batched.
const limitScript = `
local n = 0
for i = 1, #KEYS do
  local old = redis.call('GET', KEYS[i])
  if not old or string.sub(old, 1, 6) < string.sub(ARGV[i], 1, 6) then
    redis.call('SET', KEYS[i], ARGV[i])
    n = n + 1
  end
end
return n`

// BenchmarkWrite prints what one written state costs, side by side with the limit
// in the same run: docs/decisions/0003 and 0004 rest on it.
//
//	go test -v -tags real -run '^$' -bench '^BenchmarkWrite$' -benchtime 1x ./internal/cache
func BenchmarkWrite(b *testing.B) {
	contenders := []*contender{newLimit(b, 60), newLimit(b, 111)}
	for _, size := range []int{1, 8, 16, 32, 64} {
		contenders = append(contenders, newWriter(b, fmt.Sprintf("%d a bucket", size), size, options{}))
	}
	contenders = append(contenders,
		newWriter(b, "16, wide", 16, options{wide: true}),
		newWriter(b, "16, every version compared", 16, options{careful: true}),
		newWriter(b, "16, states loaded first", 16, options{load: true}),
		newWriter(b, "16, a tenth to be acted on", 16, options{act: 10}),
	)
	for b.Loop() {
		for range rounds {
			for _, c := range contenders {
				c.round(b)
			}
		}
	}
	limit := contenders[0].median()
	var table strings.Builder
	for _, c := range contenders {
		m := c.median()
		fmt.Fprintf(&table, "\n%-28s %8.0f/s, %4.2f of the limit | redis %5.2f µs, %4.2f of the limit | client %5.2f µs | %4.0f bytes a subject",
			c.name, m.rate, m.rate/limit.rate, m.redis, m.redis/limit.redis, m.client, c.bytes)
	}
	b.Log(table.String())
}

// contender is one way to write, with a Redis of its own.
type contender struct {
	name    string
	server  *redis.Client
	prepare func() // builds the work of a round
	work    func(lane int) error
	bytes   float64 // memory per subject
	seen    []measure
}

type measure struct {
	rate          float64 // changes per second
	redis, client float64 // processor time per change, in microseconds
}

func (c *contender) round(t testing.TB) {
	c.prepare()
	runtime.GC()
	redisBefore, clientBefore, began := cpuOf(t, c.server), ownCPU(t), time.Now()
	var group errgroup.Group
	for lane := range lanes {
		group.Go(func() error { return c.work(lane) })
	}
	require.NoError(t, group.Wait())
	const micros = 1e6 / perRound
	c.seen = append(c.seen, measure{
		rate:   perRound / time.Since(began).Seconds(),
		client: (ownCPU(t) - clientBefore) * micros,
		redis:  (cpuOf(t, c.server) - redisBefore) * micros,
	})
}

func (c *contender) median() measure {
	middle := func(of func(measure) float64) float64 {
		all := make([]float64, 0, len(c.seen))
		for _, m := range c.seen {
			all = append(all, of(m))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return measure{
		rate:   middle(func(m measure) float64 { return m.rate }),
		redis:  middle(func(m measure) float64 { return m.redis }),
		client: middle(func(m measure) float64 { return m.client }),
	}
}

// newLimit is the batched script over plain keys, 400 to a script.
func newLimit(t testing.TB, size int) *contender {
	const batch = 400
	c := &contender{name: fmt.Sprintf("the limit, %d-byte values", size), server: testenv.Redis(t).Client(t)}
	client := connect(t, c.server.Options().Addr)
	sha, err := client.ScriptLoad(t.Context(), limitScript).Result()
	require.NoError(t, err)
	version := uint64(0)
	pad := strings.Repeat("x", size-6)
	var work [lanes][][]any
	script := func(ids []int) []any {
		version++
		value := string(binary.BigEndian.AppendUint64(nil, version)[2:]) + pad
		args := []any{"evalsha", sha, strconv.Itoa(len(ids))}
		for _, id := range ids {
			args = append(args, fmt.Sprintf("consent:{marketing}:%017d", id))
		}
		for range ids {
			args = append(args, value)
		}
		return args
	}
	c.prepare = func() {
		for lane := range work {
			work[lane] = nil
			for range perRound / batch / lanes {
				work[lane] = append(work[lane], script(rand.Perm(population)[:batch]))
			}
		}
	}
	c.work = func(lane int) error {
		for _, args := range work[lane] {
			if err := client.Do(context.Background(), args...).Err(); err != nil {
				return err
			}
		}
		return nil
	}
	empty := memoryOf(t, c.server)
	for ids := range slices.Chunk(rand.Perm(population), batch) {
		require.NoError(t, client.Do(t.Context(), script(ids)...).Err())
	}
	c.bytes = (memoryOf(t, c.server) - empty) / population
	return c
}

// options of a writer.
type options struct {
	wide, careful, load bool
	act                 int // one change in so many goes to the outbox
}

// newWriter is the store, with so many subjects to a bucket.
func newWriter(t testing.TB, name string, perBucket int, o options) *contender {
	c := &contender{name: name, server: testenv.Redis(t).Client(t)}
	layout := cache.Layout{
		Service: "marketing", Topic: "t", Generation: 1, Partitions: benchPartition,
		Buckets: int32(population / benchPartition / perBucket),
	}
	store, err := cache.NewRedis(t.Context(), connect(t, c.server.Options().Addr), layout, silent())
	require.NoError(t, err)
	w := &writer{store: store, layout: layout, options: o}
	w.open(t)
	c.prepare, c.work = func() { w.prepare(t) }, w.work
	empty := memoryOf(t, c.server)
	w.populate(t)
	c.bytes = (memoryOf(t, c.server) - empty) / population
	return c
}

// writer writes changes of random subjects, a partition at a time.
type writer struct {
	options
	store   *cache.Redis
	layout  cache.Layout
	marks   [benchPartition]cache.Mark
	people  [benchPartition][]events.Subject
	states  [benchPartition]map[events.Subject]events.State
	batches [lanes][]cache.Batch
}

func (w *writer) open(t testing.TB) {
	for i := range population {
		s, err := events.ParseSubject(fmt.Sprintf("0190f3c2-8a7b-7c1e-9d2f-%012x", i))
		require.NoError(t, err)
		p := w.layout.PartitionOf(s)
		w.people[p] = append(w.people[p], s)
	}
	for p := range w.marks {
		mark, err := w.store.Claim(t.Context(), int32(p))
		require.NoError(t, err)
		w.marks[p], err = w.store.Begin(t.Context(), int32(p), mark.Epoch, 0)
		require.NoError(t, err)
		w.states[p] = make(map[events.Subject]events.State)
	}
}

var fivePurposes = []events.Purpose{"promotion", "contests", "surveys", "personalisation", "targeted-ads"}

// populate gives everybody five purposes, decided one after the other.
func (w *writer) populate(t testing.TB) {
	for p := range w.people {
		for _, purpose := range fivePurposes {
			kind := events.Granted
			if purpose == "contests" || purpose == "personalisation" {
				kind = events.Withdrawn
			}
			b := w.batch(t, p, w.people[p], kind, purpose)
			result := w.store.Write(t.Context(), []cache.Batch{b})[0]
			require.NoError(t, result.Err)
		}
	}
}

// batch folds one event of each of the subjects.
func (w *writer) batch(t testing.TB, p int, who []events.Subject, kind events.Type, purpose events.Purpose) cache.Batch {
	mark := &w.marks[p]
	set, err := seed.Set(purpose)
	require.NoError(t, err)
	b := cache.Batch{Partition: int32(p), Epoch: mark.Epoch, From: mark.Next, To: mark.Next + int64(len(who)), Wide: w.wide}
	for i, s := range who {
		at := events.Stamp{
			Position: events.Position{Generation: 1, Partition: int32(p), Offset: mark.Next + int64(i)},
			Appended: 1_790_000_000_000 + events.Millis(mark.Next)*40 + events.Millis(i),
		}
		e := events.Event{
			Method: events.ByPerson, Policy: events.SeedPolicy, ID: strconv.FormatInt(at.Position.Offset, 10), Source: "https://web.example", Type: kind, Subject: s,
			Decided: at.Appended - 20, Purposes: set, Logged: at,
		}
		before := w.states[p][s]
		after, out := seed.Apply(before, &e)
		if !out.Changed {
			continue
		}
		w.states[p][s] = after
		b.Changes = append(b.Changes, cache.Change{Subject: s, Prev: before, State: after, Act: w.act > 0 && i%w.act == 0})
	}
	mark.Next = b.To
	return b
}

var seed = events.SeedRules()

// prepare folds a round's batches: a lane has the partitions of its own parity.
func (w *writer) prepare(t testing.TB) {
	const batch = 400
	for lane := range w.batches {
		w.batches[lane] = w.batches[lane][:0]
		for changes := 0; changes < perRound/lanes; {
			p := rand.IntN(benchPartition/lanes)*lanes + lane
			who := make([]events.Subject, 0, batch)
			for _, i := range rand.Perm(len(w.people[p]))[:batch] {
				who = append(who, w.people[p][i])
			}
			kind := []events.Type{events.Granted, events.Withdrawn}[rand.IntN(2)]
			b := w.batch(t, p, who, kind, fivePurposes[rand.IntN(len(fivePurposes))])
			changes += len(b.Changes)
			w.batches[lane] = append(w.batches[lane], b)
		}
	}
}

func (w *writer) work(lane int) error {
	for i := range w.batches[lane] {
		b := &w.batches[lane][i]
		if w.careful {
			w.store.Distrust(b.Partition)
		}
		if w.load {
			subjects := make([]events.Subject, len(b.Changes))
			for i := range b.Changes {
				subjects[i] = b.Changes[i].Subject
			}
			if _, err := w.store.Load(context.Background(), b.Partition, subjects); err != nil {
				return err
			}
		}
		if err := w.store.Write(context.Background(), []cache.Batch{*b})[0].Err; err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkMemory prints what a subject costs, everything included: key, bucket,
// field, state, and what the allocator rounds up.
//
//	go test -v -tags real -run '^$' -bench '^BenchmarkMemory$' -benchtime 1x ./internal/cache
func BenchmarkMemory(b *testing.B) {
	var table strings.Builder
	for b.Loop() {
		for _, perBucket := range []int{1, 8, 16, 24, 32, 48, 64} {
			c := newWriter(b, "", perBucket, options{})
			var usage, keys float64
			for _, key := range c.server.Keys(b.Context(), "*}:s:*").Val() {
				usage += float64(c.server.MemoryUsage(b.Context(), key).Val())
				keys++
			}
			fmt.Fprintf(&table, "\n%2d a bucket: %4.0f bytes a subject by used_memory, %4.0f by MEMORY USAGE, in %.0f keys",
				perBucket, c.bytes, usage/population, keys)
		}
	}
	log := cachetest.NewLog(cachetest.Layout(), 0, 1)
	states := map[events.Subject]events.State{}
	for i, purpose := range fivePurposes {
		log.Append([]events.Type{events.Granted, events.Withdrawn}[i%2], 0, purpose)
		log.Fold(states, int64(i), int64(i+1))
		fmt.Fprintf(&table, "\na state of %d purposes decided apart: %d bytes", i+1, len(states[log.Subjects[0]].Encoded()))
	}
	b.Log(table.String())
}

// ownCPU returns the seconds of processor time that this process has used.
func ownCPU(t testing.TB) float64 {
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

func cpuOf(t testing.TB, client *redis.Client) (seconds float64) {
	info := client.InfoMap(t.Context(), "cpu")
	for _, name := range []string{"used_cpu_user", "used_cpu_sys"} {
		v, err := strconv.ParseFloat(info.Item("CPU", name), 64)
		require.NoError(t, err)
		seconds += v
	}
	return seconds
}

func memoryOf(t testing.TB, client *redis.Client) float64 {
	v, err := strconv.ParseFloat(client.InfoMap(t.Context(), "memory").Item("Memory", "used_memory"), 64)
	require.NoError(t, err)
	return v
}
