package endtoend

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/rebuild"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testservice"
)

const rebuildPartitions = 4

// ward is marketing under live traffic, with a writer of snapshots beside it.
type ward struct {
	t         *testing.T
	broker    *testenv.Broker
	server    *testenv.RedisServer
	client    redis.UniversalClient
	topics    testservice.Topics
	state     string
	producer  *stream.Producer
	marketing *testservice.Service
	writer    *writer
	published int
}

func newWard(t *testing.T, snapshots bool) *ward {
	w := &ward{t: t, broker: testenv.Kafka(t), server: testenv.Redis(t)}
	client, err := cache.Connect(cache.Options{Addrs: []string{w.server.Addr()}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	w.client = client
	w.topics, w.state = testservice.NewTopics(t, w.broker, rebuildPartitions), stateTopic(t, w.broker, rebuildPartitions)
	w.producer, err = stream.NewProducer(stream.ProducerConfig{Config: stream.Config{Brokers: w.broker.Addrs()}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.producer.Close(context.Background()) })
	w.publish(31, 400, flushEvents())
	w.serve()
	t.Cleanup(func() { w.marketing.Stop(t) })
	if snapshots {
		w.writer = startWriter(t, w.broker, w.server.Client(t), w.topics, w.state)
		t.Cleanup(func() { w.writer.stop(t) })
		w.writer.Wait(t, int64(w.published))
	}
	w.marketing.Wait(t, int64(w.published))
	return w
}

// serve starts the service, the first time or once more.
func (w *ward) serve() {
	action, err := marketing.New(w.client, events.SeedRules(), nil)
	require.NoError(w.t, err)
	w.marketing = testservice.Start(w.t, testservice.Config{
		Service: marketing.Service(action), Kafka: w.broker.Addr(), Redis: w.client, Topics: w.topics, Buckets: 64,
	})
}

func (w *ward) publish(seed uint64, subjects, n int) {
	publishSynthetic(w.t, w.producer, w.topics.Events, seed, subjects, n)
	w.published += n
}

func (w *ward) config(fromLog bool) rebuild.Config {
	live := w.marketing.Layout
	staging, err := cache.OpenStaging(w.t.Context(), w.client, live)
	require.NoError(w.t, err)
	cfg := rebuild.Config{
		Staging: staging, Live: cache.NewInspector(w.client, live), Kafka: stream.Config{Brokers: w.broker.Addrs()},
		Events: w.topics.Events, State: w.state, Rules: events.SeedRules(), FromLog: fromLog,
	}
	if w.writer != nil {
		cfg.Witnesses = append(cfg.Witnesses, cache.NewInspector(w.client, w.writer.Layout))
	}
	return cfg
}

// damage deletes states, puts older ones in the place of others, and invents a
// person. It returns whom it concerns.
func (w *ward) damage(want *told) map[events.Subject]bool {
	live, hurt := w.marketing.Layout, make(map[events.Subject]bool)
	key := func(s events.Subject) string {
		return fmt.Sprintf("%ss:%d", live.Prefix(live.PartitionOf(s)), live.BucketOf(s))
	}
	n := 0
	for s, life := range want.lives {
		field := string(cache.AppendField(nil, s))
		switch n++; {
		case n%5 == 0:
			require.NoError(w.t, w.client.HDel(w.t.Context(), key(s), field).Err())
		case n%5 == 1 && len(life) > 1:
			old := foldUpTo(w.t, w.broker.Addr(), w.topics.Events, s, life[len(life)-2].offset, live.PartitionOf(s))
			require.NoError(w.t, w.client.HSet(w.t.Context(), key(s), field, old.Encoded()).Err())
		default:
			continue
		}
		if hurt[s] = true; len(hurt) == 30 {
			break
		}
	}
	return hurt
}

// foldUpTo folds one subject's events up to an offset.
func foldUpTo(t testing.TB, kafka, topic string, s events.Subject, last int64, partition int32) events.State {
	r, err := stream.NewReader(stream.ReaderConfig{Config: stream.Config{Brokers: []string{kafka}}, Topic: topic})
	require.NoError(t, err)
	defer r.Close()
	out := &told{states: make(map[events.Subject]events.State), lives: make(map[events.Subject][]change), parked: make(map[events.Subject]bool), ends: make(map[int32]int64)}
	require.NoError(t, r.Read(t.Context(), map[int32]stream.Range{partition: {From: 0, To: last + 1}}, func(b *stream.Batch) error {
		for j := range b.Records {
			if string(b.Records[j].Key) == s.Reveal() {
				out.foldNext(t, &b.Records[j])
			}
		}
		return nil
	}))
	return out.states[s]
}

// healthy waits until the live cache holds exactly what the log gives.
func (w *ward) healthy(when string) {
	w.t.Helper()
	w.marketing.Wait(w.t, int64(w.published))
	want := foldLog(w.t, w.broker.Addr(), w.topics.Events, rebuildPartitions)
	got := make(map[events.Subject]events.State)
	var digests [rebuildPartitions]cache.Digest
	live := cache.NewInspector(w.client, w.marketing.Layout)
	for p := range int32(rebuildPartitions) {
		require.NoError(w.t, live.Buckets(w.t.Context(), p, 0, w.marketing.Layout.Buckets, func(_ int32, all map[string]string) error {
			for field, state := range all {
				s, err := cache.SubjectOf(field)
				require.NoError(w.t, err)
				got[s], err = events.ParseState([]byte(state))
				require.NoError(w.t, err)
				digests[p] = digests[p].Swap(s, events.State{}, got[s])
			}
			return nil
		}))
		spots, err := live.Spots(w.t.Context(), p)
		require.NoError(w.t, err)
		require.Equal(w.t, digests[p], spots[0].Digest, "%s: partition %d", when, p)
	}
	requireSame(w.t, want.states, got, when)
	for s := range want.parked {
		view, err := w.marketing.Store.Lookup(w.t.Context(), s)
		require.NoError(w.t, err)
		require.True(w.t, view.Held, "%s: %v", when, s)
	}
	left, err := w.client.Keys(w.t.Context(), "*}:new:*").Result()
	require.NoError(w.t, err)
	require.Empty(w.t, left, when)
}

// vigil asks the guard all the time about people whom nobody has anything against:
// their answers must not change.
type vigil struct {
	cancel context.CancelFunc
	ended  sync.WaitGroup
	asked  int
}

func (w *ward) keepVigil(want *told, hurt map[events.Subject]bool) *vigil {
	ctx, cancel := context.WithCancel(context.Background())
	v := &vigil{cancel: cancel}
	rules := events.SeedRules()
	rule, _ := rules.Rule("promotion")
	ask := guard.New(w.client, "marketing", guard.WithDeadline(5*time.Second))
	w.t.Cleanup(func() { v.end() })
	v.ended.Go(func() {
		for ctx.Err() == nil {
			for s, state := range want.states {
				if hurt[s] || want.parked[s] {
					continue
				}
				d := ask.Check(ctx, s, "promotion")
				if v.asked++; ctx.Err() != nil || d.Reason == events.Stale {
					continue
				}
				if d.Allowed != rules.Standing(state).Allowed.Has(rule.Code) {
					w.t.Errorf("%v: %v", s, d)
				}
			}
		}
	})
	return v
}

func (v *vigil) end() int {
	v.cancel()
	v.ended.Wait()
	return v.asked
}

func TestRebuildHealsADamagedCacheUnderLiveTraffic(t *testing.T) {
	testenv.Parallel(t)
	for name, fromLog := range map[string]bool{"from snapshots": false, "from the whole log": true} {
		t.Run(name, func(t *testing.T) {
			w := newWard(t, true)
			want := foldLog(t, w.broker.Addr(), w.topics.Events, rebuildPartitions)
			hurt := w.damage(want)
			require.Greater(t, len(hurt), 15)
			v := w.keepVigil(want, hurt)
			load := startLoad(t, w.producer, w.topics.Events)

			r, err := rebuild.Prepare(t.Context(), w.config(fromLog))
			require.NoError(t, err)
			plan := r.Plan()
			require.EqualValues(t, len(hurt), plan.WouldAllow+plan.WouldDeny+plan.Otherwise)
			require.Positive(t, plan.WouldAllow, "what was deleted is allowed again")
			require.GreaterOrEqual(t, plan.Unchanged, int64(len(kept(want.states))-len(hurt)))
			for _, p := range plan.Partitions {
				require.Equal(t, map[bool]string{false: rebuild.FromSnapshots, true: rebuild.FromLog}[fromLog], p.Source, p.Why)
				require.NotEmpty(t, p.Verified)
			}
			require.ErrorContains(t, plan.Refuse(rebuild.Permit{}), "--permit-grants")
			require.NoError(t, r.Swap(t.Context()))
			require.NoError(t, r.Close(t.Context()))
			w.published += load.stop()
			w.healthy("after the swap")
			require.Positive(t, v.end())
		})
	}
}

func TestRebuildOfAHealthyCacheChangesNothing(t *testing.T) {
	w := newWard(t, true)
	load := startLoad(t, w.producer, w.topics.Events)
	r, err := rebuild.Prepare(t.Context(), w.config(false))
	require.NoError(t, err)
	plan := r.Plan()
	require.Zero(t, plan.WouldAllow+plan.WouldDeny+plan.Otherwise)
	require.NoError(t, plan.Refuse(rebuild.Permit{}))
	require.NoError(t, r.Swap(t.Context()))
	require.NoError(t, r.Close(t.Context()))
	w.published += load.stop()
	w.healthy("after the swap")
}

// Everything of the service's is lost, and it has begun to build from the log when
// the rebuild overtakes it. Whom the log's parked events hold is held.
func TestRebuildOvertakesAServiceThatStartsFromNothing(t *testing.T) {
	w := newWard(t, true)
	w.rubbish(20)
	w.marketing.Wait(t, int64(w.published))
	w.writer.Wait(t, int64(w.published))
	load := startLoad(t, w.producer, w.topics.Events)
	keys, err := w.client.Keys(t.Context(), "consent:{marketing/*").Result()
	require.NoError(t, err)
	require.NoError(t, w.client.Del(t.Context(), keys...).Err())
	var r *rebuild.Rebuild
	for r == nil { // refused until the service has claimed what is not there
		if r, err = rebuild.Prepare(t.Context(), w.config(false)); err != nil {
			require.Equal(t, exit.Refused, exit.Code(err), "%v", err)
		}
	}
	require.NoError(t, r.Swap(t.Context()))
	require.NoError(t, r.Close(t.Context()))
	w.published += load.stop()
	w.healthy("after the swap")
}

// rubbish publishes withdrawals that nobody can read, of people who are known.
func (w *ward) rubbish(n int) {
	messages := make([]stream.Message, n)
	for i := range messages {
		messages[i] = stream.Message{Topic: w.topics.Events, Partition: stream.AnyPartition, Key: fmt.Appendf(nil, "seed-31-%06d", i), Value: []byte("no event")}
	}
	_, err := w.producer.PublishAll(w.t.Context(), messages)
	require.NoError(w.t, err)
	w.published += n
}

// shown keeps what a progress was told.
type shown struct {
	mu          sync.Mutex
	total, done map[int32]int64
}

func (s *shown) Start(total map[int32]int64) { s.total, s.done = total, make(map[int32]int64) }
func (s *shown) Done()                       {}
func (s *shown) Add(p int32, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[p] += n
}

func (w *ward) progress(fromLog bool) *shown {
	cfg, told := w.config(fromLog), &shown{}
	cfg.Progress, cfg.Patience = told, 2*time.Second // nobody who stands still is waited for
	r, err := rebuild.Prepare(w.t.Context(), cfg)
	require.NoError(w.t, err)
	require.NoError(w.t, r.Close(w.t.Context()))
	return told
}

func TestProgressOfARebuildCoversTheLog(t *testing.T) {
	w := newWard(t, true)
	all := foldLog(t, w.broker.Addr(), w.topics.Events, rebuildPartitions).ends
	require.Len(t, all, rebuildPartitions)
	for _, fromLog := range []bool{false, true} {
		told := w.progress(fromLog)
		require.Equal(t, all, told.total)
		require.Equal(t, all, told.done)
	}
}

// It ends there: what comes behind the service concerns the service alone.
func TestProgressOfARebuildEndsWhereTheServiceStands(t *testing.T) {
	w := newWard(t, true)
	stands := foldLog(t, w.broker.Addr(), w.topics.Events, rebuildPartitions).ends
	w.marketing.Stop(t)
	defer w.serve() // the ward stops it
	w.rubbish(1000) // of which no state is another
	told := w.progress(true)
	require.Equal(t, stands, told.total)
	require.Equal(t, stands, told.done)
}

// A plan that is not carried out leaves nothing behind.
func TestPlanOfARebuildTouchesNothing(t *testing.T) {
	w := newWard(t, true)
	hurt := w.damage(foldLog(t, w.broker.Addr(), w.topics.Events, rebuildPartitions))
	before := w.dump()
	r, err := rebuild.Prepare(t.Context(), w.config(false), 1, 2)
	require.NoError(t, err)
	require.Len(t, r.Plan().Partitions, 2)
	require.Positive(t, r.Plan().WouldAllow+r.Plan().WouldDeny+r.Plan().Otherwise)
	require.NoError(t, r.Close(t.Context()))
	require.Equal(t, before, w.dump())
	require.NotEmpty(t, hurt)
}

// dump reads all states of marketing's, as they are stored.
func (w *ward) dump() map[string]map[string]string {
	keys, err := w.client.Keys(w.t.Context(), "consent:{marketing/*s:*").Result()
	require.NoError(w.t, err)
	out := make(map[string]map[string]string)
	for _, key := range keys {
		out[key], err = w.client.HGetAll(w.t.Context(), key).Result()
		require.NoError(w.t, err)
	}
	return out
}

func TestRebuildWithoutSnapshotsReadsTheLogAndSaysSo(t *testing.T) {
	testenv.Parallel(t)
	w := newWard(t, false)
	w.damage(foldLog(t, w.broker.Addr(), w.topics.Events, rebuildPartitions))
	r, err := rebuild.Prepare(t.Context(), w.config(false))
	require.NoError(t, err)
	for _, p := range r.Plan().Partitions {
		require.Equal(t, rebuild.FromLog, p.Source)
		require.Equal(t, "the state topic has no checkpoint", p.Why)
		require.Equal(t, []string{"marketing"}, p.Verified)
	}
	require.NoError(t, r.Swap(t.Context()))
	require.NoError(t, r.Close(t.Context()))
	w.healthy("after the swap")
}

// Somebody's rebuild was killed: what it staged is there, and is nobody's.
func TestRebuildRemovesWhatAnInterruptedOneLeft(t *testing.T) {
	testenv.Parallel(t)
	w := newWard(t, true)
	w.damage(foldLog(t, w.broker.Addr(), w.topics.Events, rebuildPartitions))
	require.NoError(t, w.client.Set(t.Context(), "consent:{marketing}:rebuild", "the killed one", time.Second).Err())
	for p := range int32(rebuildPartitions) {
		stranger := fmt.Sprintf("%snew:s:%d", w.marketing.Layout.Prefix(p), 3)
		require.NoError(t, w.client.HSet(t.Context(), stranger, "s-nobody", "rubbish").Err())
	}
	r, err := rebuild.Prepare(t.Context(), w.config(false))
	require.NoError(t, err)
	require.NoError(t, r.Swap(t.Context()))
	require.NoError(t, r.Close(t.Context()))
	w.healthy("after the swap")
}

// A second copy would fill Redis, which then refuses what services write.
func TestRebuildWithoutRoomIsRefused(t *testing.T) {
	if !testenv.Real() {
		t.Skip("the embedded Redis has no limit")
	}
	w := newWard(t, true)
	used, err := w.client.Info(t.Context(), "memory").Result()
	require.NoError(t, err)
	_, used, _ = strings.Cut(used, "used_memory:")
	n, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(used, "\r", 2)[0]))
	require.NoError(t, err)
	require.NoError(t, w.client.ConfigSet(t.Context(), "maxmemory", strconv.Itoa(n+32<<20)).Err())
	_, err = rebuild.Prepare(t.Context(), w.config(false))
	require.Equal(t, exit.Refused, exit.Code(err), "%v", err)
	require.ErrorContains(t, err, "MB left")
	require.NoError(t, w.client.ConfigSet(t.Context(), "maxmemory", "0").Err())
	r, err := rebuild.Prepare(t.Context(), w.config(false))
	require.NoError(t, err)
	require.NoError(t, r.Close(t.Context()))
}

// A colleague's rebuild is on its way: nobody takes what it staged.
func TestRebuildThatRunsIsNotDisturbedByAnother(t *testing.T) {
	testenv.Parallel(t)
	w := newWard(t, true)
	w.damage(foldLog(t, w.broker.Addr(), w.topics.Events, rebuildPartitions))
	first, err := rebuild.Prepare(t.Context(), w.config(false))
	require.NoError(t, err)
	_, err = rebuild.Prepare(t.Context(), w.config(false))
	require.Equal(t, exit.Refused, exit.Code(err), "%v", err)
	require.ErrorContains(t, err, "another rebuild of marketing runs")
	require.NoError(t, first.Swap(t.Context()))
	require.NoError(t, first.Close(t.Context()))
	w.healthy("after the swap")

	next, err := rebuild.Prepare(t.Context(), w.config(false))
	require.NoError(t, err)
	require.NoError(t, next.Close(t.Context()))
	n, err := w.client.Exists(t.Context(), "consent:{marketing}:rebuild").Result()
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestRebuildRefusesWhatNobodyHas(t *testing.T) {
	w := newWard(t, true)
	_, err := rebuild.Prepare(t.Context(), w.config(false), 9)
	require.Equal(t, exit.Usage, exit.Code(err))
	permit := rebuild.Permit{Grants: true, ExpectAllow: 3, Operator: "a", Second: "b"}
	plan := &rebuild.Plan{WouldAllow: 3}
	require.NoError(t, plan.Refuse(permit))
	for want, wrong := range map[string]func(*rebuild.Permit){
		"--permit-grants":   func(p *rebuild.Permit) { p.Grants = false },
		"--expect-allow":    func(p *rebuild.Permit) { p.ExpectAllow = 2 },
		"--second-operator": func(p *rebuild.Permit) { p.Second = "" },
		"another person":    func(p *rebuild.Permit) { p.Second = "A " },
	} {
		p := permit
		wrong(&p)
		require.Equal(t, exit.Refused, exit.Code(plan.Refuse(p)))
		require.ErrorContains(t, plan.Refuse(p), want)
	}
	plan = &rebuild.Plan{Partitions: []*rebuild.Part{{Unverified: "nobody said so"}}}
	require.ErrorContains(t, plan.Refuse(permit), "--unverified")
	require.ErrorContains(t, plan.Refuse(rebuild.Permit{Unverified: true}), "--second-operator")
	permit.Unverified = true
	require.NoError(t, plan.Refuse(permit))
}
