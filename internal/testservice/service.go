// Package testservice runs one of Kelisim's services inside a test, wired as
// consentd wires it: a Kafka consumer, the engine, a Redis cache, an action.
//
// It leaves the servers to internal/testenv. End-to-end tests and benchmarks
// use it; nothing else imports it.
package testservice

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/policyfeed"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testpolicy"
)

// Topics are what a service reads and writes.
type Topics struct {
	Events, Parked, Receipts string
	Policies                 string // empty: the seed version is in force and never changes
	Partitions               int32
}

// NewTopics creates topics as deploy/topics.yaml has them, but with names of their
// own, as many partitions for the events as asked for, and few for the others. The
// seed version of the policy is published.
func NewTopics(t testing.TB, broker *testenv.Broker, partitions int) Topics {
	return Topics{
		Events:     broker.Deployed(t, deploy.EventsTopic, partitions),
		Parked:     broker.Deployed(t, deploy.ParkedTopic, 2),
		Receipts:   broker.Deployed(t, deploy.ReceiptsTopic, 1),
		Policies:   testpolicy.NewTopic(t, broker, testpolicy.Seed(t)),
		Partitions: int32(partitions),
	}
}

// Config says what to run and where.
type Config struct {
	Service    consumers.Service
	Kafka      string // host:port
	Redis      redis.UniversalClient
	Topics     Topics
	Group      string           // empty: named after service and topic
	Buckets    int32            // 0: 1024
	Generation uint32           // of the events; 0: 1
	Memory     int              // states in the consumer; 0: the engine's default
	Now        func() time.Time // of the policy's calendar; nil: time.Now
	Unpack     int              // bytes that a packed batch may become; 0: as by default
	Logger     *slog.Logger
}

// GroupOf returns the group that a service joins when no other is named.
func GroupOf(service, topic string) string { return service + "-" + topic }

// Service is a running service.
type Service struct {
	Store  *cache.Redis
	Layout cache.Layout

	cancel context.CancelFunc
	ended  chan error
}

// Start runs a service until Stop.
func Start(t testing.TB, cfg Config) *Service {
	t.Helper()
	if cfg.Group == "" {
		cfg.Group = GroupOf(cfg.Service.Name, cfg.Topics.Events)
	}
	if cfg.Buckets == 0 {
		cfg.Buckets = cache.DefaultBuckets
	}
	if cfg.Generation == 0 {
		cfg.Generation = 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	layout := cache.Layout{
		Service: cfg.Service.Name, Topic: cfg.Topics.Events, Generation: cfg.Generation,
		Partitions: cfg.Topics.Partitions, Buckets: cfg.Buckets,
	}
	store, err := cache.NewRedis(ctx, cfg.Redis, layout, cfg.Logger)
	require.NoError(t, err)
	conf := stream.Config{Brokers: []string{cfg.Kafka}, Logger: cfg.Logger, MaxUnpackedBytes: cfg.Unpack}
	log, err := stream.NewConsumer(stream.ConsumerConfig{Config: conf, Group: cfg.Group, Topic: cfg.Topics.Events})
	require.NoError(t, err)
	producer, err := stream.NewProducer(stream.ProducerConfig{Config: conf, MessageBytes: deploy.MaxParkedBytes})
	require.NoError(t, err)
	known, follow := cfg.policy(t, conf)
	var following sync.WaitGroup
	following.Go(func() { follow(ctx) })
	_ = known.CatchUp(ctx) // the service may have purposes of the newest version; the consumer itself insists
	consumer, err := consumers.New(consumers.Config{
		Service: cfg.Service, Policy: known, Generation: cfg.Generation, Partitions: cfg.Topics.Partitions,
		Log: consumers.FromStream(log), Store: store, Publisher: producer,
		Decoder:     func(r *events.Rules) consumers.Decoder { return cloudevent.Decoder{Rules: r} },
		Slots:       func(p int32) consumers.Slot { return consumers.Slot{Partition: p, Prefix: layout.Prefix(p)} },
		ParkedTopic: cfg.Topics.Parked, ReceiptsTopic: cfg.Topics.Receipts, Memory: cfg.Memory, Logger: cfg.Logger,
	})
	require.NoError(t, err)
	s := &Service{Store: store, Layout: layout, cancel: cancel, ended: make(chan error, 1)}
	go func() {
		err := consumer.Run(ctx)
		cancel()
		following.Wait()
		_ = producer.Close(context.Background())
		s.ended <- err
	}()
	return s
}

// policy returns what the service goes by, and what has to run for it.
func (cfg *Config) policy(t testing.TB, conf stream.Config) (consumers.Policy, func(context.Context)) {
	if cfg.Topics.Policies == "" {
		return testpolicy.NewFixed(t, testpolicy.Seed(t)), func(context.Context) {}
	}
	f, err := policyfeed.New(policyfeed.Config{Kafka: conf, Topic: cfg.Topics.Policies, Now: cfg.Now, Logger: cfg.Logger})
	require.NoError(t, err)
	return f, func(ctx context.Context) { _ = f.Run(ctx) }
}

// Stop ends the service in order and fails the test if it did not.
func (s *Service) Stop(t testing.TB) {
	t.Helper()
	s.cancel()
	require.NoError(t, <-s.ended)
}

// Ended returns what the service ended with, when it ends by itself.
func (s *Service) Ended() <-chan error { return s.ended }

// Marks returns where every partition stands.
func (s *Service) Marks() []cache.Mark { return Marks(s.Store, s.Layout) }

// Marks reads where every partition of a cache stands, as one who owns none.
func Marks(store *cache.Redis, layout cache.Layout) []cache.Mark {
	proofs := make([]cache.Proof, layout.Partitions)
	for p := range proofs {
		proofs[p].Partition = int32(p)
	}
	marks := make([]cache.Mark, len(proofs))
	for i, r := range store.Refresh(context.Background(), proofs) {
		marks[i] = r.Mark
	}
	return marks
}

// Wait returns how long it took until n events were decided, and until all of
// them were acted on.
func (s *Service) Wait(t testing.TB, n int64) (decided, acted time.Duration) {
	t.Helper()
	began := time.Now()
	for {
		var next, done int64
		for _, m := range s.Marks() {
			next, done = next+m.Next, done+m.Acted
		}
		if next >= n && decided == 0 {
			decided = time.Since(began)
		}
		if next >= n && done >= n {
			return decided, time.Since(began)
		}
		select {
		case err := <-s.ended:
			s.ended <- err
			require.NoError(t, err, "the service ended")
			t.Fatal("the service ended")
		case <-time.After(lookEvery):
		}
		if time.Since(began) > patience {
			t.Fatalf("of %d events %d decided and %d acted on after %v", n, next, done, patience)
		}
	}
}

// lookEvery is how often the marks are read: seldom enough not to be a load of its own.
const lookEvery = 10 * time.Millisecond

// patience is how long a service may take for what a test gives it; a million
// events take seconds.
const patience = 3 * time.Minute
