package endtoend

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testservice"
)

// flushEvents are few enough for the embedded Redis, whose scripts are slow, and
// more on the real one.
func flushEvents() int {
	if testenv.Real() {
		return 50_000
	}
	return 3_000
}

func TestFlushedRedisDeniesUntilTheServiceHasBuiltItAgain(t *testing.T) {
	broker, server := testenv.Kafka(t), testenv.Redis(t)
	topics := testservice.NewTopics(t, broker, 4)
	producer, err := stream.NewProducer(stream.ProducerConfig{Config: stream.Config{Brokers: []string{broker.Addr()}}})
	require.NoError(t, err)
	defer func() { _ = producer.Close(context.Background()) }()
	n := flushEvents()
	publishSynthetic(t, producer, topics.Events, 7, 400, n)

	client := server.Client(t)
	rules := events.SeedRules()
	action, err := marketing.New(client, rules, nil)
	require.NoError(t, err)
	service := testservice.Start(t, testservice.Config{
		Service: marketing.Service(action), Kafka: broker.Addr(), Redis: client, Topics: topics, Buckets: 64,
	})
	defer service.Stop(t)
	service.Wait(t, int64(n))

	want := foldLog(t, broker.Addr(), topics.Events, 4)
	ask := guard.New(client, "marketing", guard.WithDeadline(5*time.Second))
	before := answers(t, ask, want)
	require.Positive(t, before.allowed(), "nobody is allowed anything: the test would prove nothing")

	load := startLoad(t, producer, topics.Events)
	server.Flush(t)
	denied := 0
	require.Eventually(t, func() bool {
		for s, was := range before {
			d := ask.Check(t.Context(), s, "promotion")
			if d.Allowed {
				require.True(t, was.Allowed, "%v was denied before the flush and is allowed after it", s)
				continue
			}
			if was.Allowed {
				require.Contains(t, []events.Reason{events.Stale, events.UnknownSubject}, d.Reason, "%v", s)
				denied++
				return false
			}
		}
		return true
	}, time.Minute, 20*time.Millisecond)
	n += load.stop()
	service.Wait(t, int64(n))
	require.Positive(t, denied, "no answer was seen between flush and rebuilding")
	after := answers(t, ask, want)
	for s, was := range before {
		require.Equal(t, was.Allowed, after[s].Allowed, "%v", s)
		require.Equal(t, was.Reason, after[s].Reason, "%v", s)
	}
}

type answered map[events.Subject]guard.Decision

func (a answered) allowed() (n int) {
	for _, d := range a {
		if d.Allowed {
			n++
		}
	}
	return n
}

// answers asks for every subject once the cache is fresh.
func answers(t *testing.T, ask *guard.Guard, want *told) answered {
	out := make(answered, len(want.states))
	for s := range want.states {
		require.Eventually(t, func() bool {
			out[s] = ask.Check(t.Context(), s, "promotion")
			return out[s].Reason != events.Stale && out[s].Reason != events.Unreachable
		}, 20*time.Second, 10*time.Millisecond, "%v stays stale", s)
		require.Equal(t, want.states[s].IsZero(), out[s].Reason == events.UnknownSubject)
	}
	return out
}

// load publishes decisions of other people until it is stopped.
type load struct {
	cancel context.CancelFunc
	ended  sync.WaitGroup
	sent   int
}

func startLoad(t *testing.T, producer *stream.Producer, topic string) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel}
	t.Cleanup(func() { l.stop() })
	l.ended.Go(func() {
		pace := time.NewTicker(20 * time.Millisecond)
		defer pace.Stop()
		for seed := uint64(1000); ctx.Err() == nil; seed++ {
			publishSynthetic(t, producer, topic, seed, 3, 10)
			l.sent += 10
			<-pace.C
		}
	})
	return l
}

func (l *load) stop() int {
	l.cancel()
	l.ended.Wait()
	return l.sent
}
