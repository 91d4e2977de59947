//go:build real

package endtoend

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/snapshot"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/events/stream/recordbatch"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/rebuild"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testservice"
)

// speedSubjects is how many people there are: a hundred thousand, or
// KELISIM_REBUILD_SUBJECTS.
func speedSubjects(t *testing.T) int {
	if text := os.Getenv("KELISIM_REBUILD_SUBJECTS"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		return n
	}
	return 100_000
}

// It prints how long a rebuild takes, beside how fast the same topic can be read
// at all. The figure is not asserted: the machine may be anybody's.
func TestRebuildIsAsFastAsRedisTakesIt(t *testing.T) {
	const partitions = 12
	n := speedSubjects(t)
	broker, server := testenv.Kafka(t), testenv.Redis(t)
	topics := testservice.NewTopics(t, broker, partitions)
	state := broker.Topic(t, testenv.TopicSpec{Name: "state", Partitions: partitions, Config: map[string]string{"cleanup.policy": "compact"}})
	kafka := stream.Config{Brokers: broker.Addrs()}
	producer, err := stream.NewProducer(stream.ProducerConfig{Config: kafka})
	require.NoError(t, err)
	defer func() { _ = producer.Close(context.Background()) }()
	grantAll(t, producer, topics.Events, n)

	connect := func() *writer { return startPackedWriter(t, broker, server, topics, state) }
	w := connect()
	defer w.stop(t)
	w.Wait(t, int64(n))
	client, err := cache.Connect(cache.Options{Addrs: []string{server.Addr()}})
	require.NoError(t, err)
	defer client.Close()
	action, err := marketing.New(client, events.SeedRules(), nil)
	require.NoError(t, err)
	service := testservice.Start(t, testservice.Config{Service: marketing.Service(action), Kafka: broker.Addr(), Redis: client, Topics: topics})
	defer service.Stop(t)
	service.Wait(t, int64(n))
	require.Eventually(t, func() bool { // the last checkpoints
		_, checkpoints := readState(t, broker, state, partitions)
		var acted int64
		for _, c := range checkpoints {
			acted += c.Acted
		}
		return acted == int64(n)
	}, time.Minute, time.Second)

	raw := measure(t, client, "fetch and parse the state topic", n, func() { readAllStates(t, kafka, state, partitions) })
	staging, err := cache.OpenStaging(t.Context(), client, service.Layout)
	require.NoError(t, err)
	var r *rebuild.Rebuild
	took := measure(t, client, "rebuild beside the live cache, followed, verified, compared", n, func() {
		r, err = rebuild.Prepare(t.Context(), rebuild.Config{
			Staging: staging, Live: cache.NewInspector(client, service.Layout), Witnesses: []*cache.Inspector{cache.NewInspector(client, w.Layout)},
			Kafka: kafka, Events: topics.Events, State: state, Rules: events.SeedRules(),
		})
		require.NoError(t, err)
	})
	require.EqualValues(t, n, r.Plan().Unchanged)
	swap := measure(t, client, "swap of 12 partitions", n, func() { require.NoError(t, r.Swap(t.Context())) })
	require.NoError(t, r.Close(t.Context()))
	for _, p := range r.Plan().Partitions {
		require.Equal(t, rebuild.FromSnapshots, p.Source, p.Why)
	}
	t.Logf("%d subjects: rebuilt in %v, of which swapped in %v; the topic alone reads in %v",
		n, (took + swap).Round(time.Millisecond), swap.Round(time.Millisecond), raw.Round(time.Millisecond))
}

// startPackedWriter writes snapshots as consentd does, packed.
func startPackedWriter(t testing.TB, broker *testenv.Broker, server *testenv.RedisServer, topics testservice.Topics, state string) *writer {
	return startWriterWith(t, stream.ProducerConfig{Config: stream.Config{Brokers: broker.Addrs()}, Compression: recordbatch.LZ4},
		broker, server.Client(t), topics, state, cache.DefaultBuckets)
}

// grantAll tells one grant of each of n people, whose ids are UUIDs.
func grantAll(t testing.TB, producer *stream.Producer, topic string, n int) {
	rules := events.SeedRules()
	encoder := cloudevent.Encoder{Rules: rules, AnyData: true}
	purposes, err := rules.Set("promotion", "surveys", "personalisation")
	require.NoError(t, err)
	now := events.MillisOf(time.Now())
	messages := make([]stream.Message, 0, 2000)
	for i := range n {
		s, err := events.ParseSubject(fmt.Sprintf("%08x-0000-4000-a000-%012x", uint32(i)*2654435761, i))
		require.NoError(t, err)
		m, err := encoder.Encode(&events.Event{
			ID: fmt.Sprint("g", i), Source: "/test", Type: events.Granted, Subject: s, Purposes: purposes, Decided: now,
			Method: events.ByPerson, Policy: events.SeedPolicy, Evidence: "urn:test:1", Data: []byte(`{"channel":"app"}`),
		})
		require.NoError(t, err)
		m.Topic = topic
		if messages = append(messages, m); len(messages) == cap(messages) || i == n-1 {
			_, err := producer.PublishAll(context.Background(), messages)
			require.NoError(t, err)
			messages = messages[:0]
		}
	}
}

func readAllStates(t testing.TB, kafka stream.Config, topic string, partitions int32) {
	r, err := stream.NewReader(stream.ReaderConfig{Config: kafka, Topic: topic})
	require.NoError(t, err)
	defer r.Close()
	all := make([]int32, partitions)
	for p := range all {
		all[p] = int32(p)
	}
	require.NoError(t, snapshot.ReadAll(t.Context(), r, all, func(int32, snapshot.Entry) error { return nil }))
}

// measure prints how long f took, with the processor time of this process and of
// Redis.
func measure(t testing.TB, client redis.UniversalClient, what string, n int, f func()) time.Duration {
	before, server, began := processor(t), serverTime(t, client), time.Now()
	f()
	took := time.Since(began)
	t.Logf("%s: %v, %.0f a second; processor time: %v here, %v in Redis", what, took.Round(time.Millisecond), float64(n)/took.Seconds(),
		(processor(t) - before).Round(time.Millisecond), (serverTime(t, client) - server).Round(time.Millisecond))
	return took
}

// serverTime is the processor time that Redis has used.
func serverTime(t testing.TB, client redis.UniversalClient) (used time.Duration) {
	text, err := client.Info(t.Context(), "cpu").Result()
	require.NoError(t, err)
	for _, name := range []string{"used_cpu_user:", "used_cpu_sys:"} {
		_, rest, found := strings.Cut(text, name)
		require.True(t, found)
		seconds, err := strconv.ParseFloat(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]), 64)
		require.NoError(t, err)
		used += time.Duration(seconds * float64(time.Second))
	}
	return used
}

func processor(t testing.TB) time.Duration {
	var use syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &use))
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
