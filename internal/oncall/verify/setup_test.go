package verify

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/snapshots"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/oncall/basis"
	"github.com/kelisim/kelisim/internal/oncall/cluster"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/synthetic"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testservice"
	"github.com/kelisim/kelisim/schemas"
)

// town is a log and the caches of some services.
type town struct {
	*cluster.Cluster
	kafka    *testenv.Broker
	client   *redis.Client
	topics   testservice.Topics
	running  map[string]*testservice.Service
	producer *stream.Producer
	people   *synthetic.Generator
	buckets  int32 // a partition
	events   int64
}

// idle is an action that does nothing: these tests are about states.
type idle struct{}

func (idle) Act(context.Context, consumers.Slot, []consumers.Turn) error { return nil }

func newTown(t testing.TB, partitions, subjects int, services ...string) *town {
	t.Helper()
	o := &town{kafka: testenv.Kafka(t), running: make(map[string]*testservice.Service), buckets: 16}
	o.client = testenv.Redis(t).Client(t)
	o.topics = testservice.NewTopics(t, o.kafka, partitions)
	topics := daemon.Defaults().Topics
	topics.Events, topics.Parked, topics.Receipts, topics.Policies = o.topics.Events, o.topics.Parked, o.topics.Receipts, o.topics.Policies
	topics.State = o.kafka.Topic(t, testenv.TopicSpec{Name: "state", Partitions: partitions, Config: testenv.CompactedConfig()})
	var err error
	o.Cluster, err = cluster.New(cluster.Config{
		Kafka: stream.Config{Brokers: []string{o.kafka.Addr()}}, Topics: topics,
		Connect: func() (redis.UniversalClient, error) { return o.client, nil },
	})
	require.NoError(t, err)
	o.producer, err = o.Producer()
	require.NoError(t, err)
	o.people, err = synthetic.New(synthetic.Config{Seed: 7, Subjects: subjects}, events.SeedRules())
	require.NoError(t, err)
	for _, name := range services {
		o.start(t, name)
	}
	t.Cleanup(func() {
		for name := range o.running {
			o.stop(t, name)
		}
		require.NoError(t, o.Close())
	})
	return o
}

// snapshots starts who writes snapshots, and waits until they are all there.
func (o *town) snapshots(t testing.TB) {
	fencer, err := stream.NewFencer(stream.ProducerConfig{Config: o.Kafka})
	require.NoError(t, err)
	t.Cleanup(fencer.Close)
	action, err := snapshots.New(snapshots.Config{Topic: o.Topics.State, Generation: 1, Redis: o.client, Fencer: fencer})
	require.NoError(t, err)
	o.running[snapshots.Name] = testservice.Start(t, testservice.Config{
		Service: snapshots.Service(action), Kafka: o.kafka.Addr(), Redis: o.client, Topics: o.topics, Buckets: o.buckets,
	})
	o.settle(t)
	require.Eventually(t, func() bool {
		ready := true
		for p, m := range o.running[snapshots.Name].Marks() {
			r, err := o.Reader(o.Topics.State)
			require.NoError(t, err)
			b, why, err := basis.Read(t.Context(), r, int32(p), 1, func(events.Subject, events.State) error { return nil })
			r.Close()
			require.NoError(t, err)
			ready = ready && why == "" && b.From == m.Next
		}
		return ready
	}, time.Minute, 50*time.Millisecond)
}

// forget takes the log's beginning away, as retention does.
func (o *town) forget(t testing.TB, partition int32, before int64) {
	at := kadm.Offsets{o.Topics.Events: {partition: kadm.Offset{Topic: o.Topics.Events, Partition: partition, At: before}}}
	_, err := o.kafka.Admin(t).DeleteRecords(t.Context(), at)
	require.NoError(t, err)
}

func (o *town) start(t testing.TB, name string) {
	o.running[name] = testservice.Start(t, testservice.Config{
		Service: consumers.Service{Name: name, Purposes: []events.Purpose{"new-services"}, Action: idle{}},
		Kafka:   o.kafka.Addr(), Redis: o.client, Topics: o.topics, Buckets: o.buckets,
	})
}

func (o *town) stop(t testing.TB, name string) {
	o.running[name].Stop(t)
	delete(o.running, name)
}

// trafficLots bounds live traffic: each look folds all of it again.
const trafficLots = 500

// traffic publishes decisions beside whatever follows, until it is stopped.
func (o *town) traffic(t testing.TB) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var deciding sync.WaitGroup
	deciding.Go(func() {
		for n := 0; n < trafficLots && ctx.Err() == nil; n++ {
			o.live(t, 20)
		}
	})
	return func() {
		cancel()
		deciding.Wait()
	}
}

// live publishes n decisions of the people, and the events that it is given behind them.
func (o *town) live(t testing.TB, n int, more ...stream.Message) {
	t.Helper()
	for range n {
		e := o.people.Next(events.MillisOf(time.Now()))
		m, err := cloudevent.Encoder{Rules: events.SeedRules(), Data: schemas.Data}.Encode(&e)
		require.NoError(t, err)
		more = append(more, m)
	}
	for i := range more {
		more[i].Topic = o.Topics.Events
	}
	_, err := o.producer.PublishAll(t.Context(), more)
	require.NoError(t, err)
	o.events += int64(len(more))
}

// settle waits until the running services have applied everything.
func (o *town) settle(t testing.TB) {
	t.Helper()
	for _, s := range o.running {
		s.Wait(t, o.events)
	}
}

// verify compares, and wants that it ends well or with findings.
func (o *town) verify(t testing.TB, cfg Config) (*Report, []Difference) {
	t.Helper()
	var found []Difference
	cfg.Found = func(d Difference) { found = append(found, d) }
	r, err := Run(t.Context(), o.Cluster, cfg)
	if len(found) > 0 || r != nil && r.Unjudged > 0 {
		require.ErrorIs(t, err, exit.ErrFindings)
	} else {
		require.NoError(t, err)
	}
	require.EqualValues(t, len(found), r.Differences)
	return r, found
}

// inspector returns the way to what a service stores.
func (o *town) inspector(t testing.TB, service string) *cache.Inspector {
	t.Helper()
	all, err := o.Services(t.Context(), service)
	require.NoError(t, err)
	return cache.NewInspector(o.client, all[0])
}

// stored is where one state is, and what it is.
type stored struct {
	partition  int32
	key, field string
	state      string
}

// states returns every state that a service stores.
func (o *town) states(t testing.TB, service string) (all []stored) {
	t.Helper()
	c := o.inspector(t, service)
	for p := range c.Layout().Partitions {
		require.NoError(t, c.Buckets(t.Context(), p, 0, o.buckets, func(bucket int32, states map[string]string) error {
			for field, state := range states {
				all = append(all, stored{p, fmt.Sprintf("%ss:%d", c.Layout().Prefix(p), bucket), field, state})
			}
			return nil
		}))
	}
	return all
}
