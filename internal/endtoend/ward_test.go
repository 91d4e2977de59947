package endtoend

import (
	"context"
	"fmt"
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

// stored is what the live cache holds, and what that sums up to in each partition.
func (w *ward) stored() (got map[events.Subject]events.State, digests [rebuildPartitions]cache.Digest) {
	w.t.Helper()
	got = make(map[events.Subject]events.State)
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
	}
	return got, digests
}

// healthy waits until the live cache holds exactly what the log gives.
func (w *ward) healthy(when string) {
	w.t.Helper()
	w.marketing.Wait(w.t, int64(w.published))
	want := foldLog(w.t, w.broker.Addr(), w.topics.Events, rebuildPartitions)
	got, digests := w.stored()
	for p, digest := range digests {
		spots, err := cache.NewInspector(w.client, w.marketing.Layout).Spots(w.t.Context(), int32(p))
		require.NoError(w.t, err)
		require.Equal(w.t, digest, spots[0].Digest, "%s: partition %d", when, p)
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
