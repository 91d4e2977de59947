package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/consumers/policy"
	"github.com/kelisim/kelisim/consumers/snapshots"
	"github.com/kelisim/kelisim/consumers/targeting"
	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	versions "github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/oncall/cluster"
	"github.com/kelisim/kelisim/internal/oncall/topics"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testpolicy"
	"github.com/kelisim/kelisim/internal/testservice"
)

// benchBuckets is how many hashes hold a partition's states. A bench has a handful of people: with the 1024 of a
// deployment the tests spent most of their time reading empty ones, at every start, rebuild, verify and doctor.
const benchBuckets = 64

// bench is a whole small Kelisim for one test: topics, a Redis, and services that
// are started when a test wants them.
type bench struct {
	*cluster.Cluster
	contexts string // file; its current context, test, is the bench
	kafka    *testenv.Broker
	server   *testenv.RedisServer
	client   *redis.Client
	producer *stream.Producer
	running  map[string]*testservice.Service
	groups   func(service string, generation uint32) string // names of consumer groups; nil: the bench's own
	finally  []func()                                       // once all services are stopped
	written  int64                                          // events
	buckets  int32                                          // a partition; 0: benchBuckets
	seeded   bool                                           // the policy has a version
	events   int32                                          // partitions of the events; 0: as deployed
	relaid   chan struct{}                                  // closed when the services were started in the next generation
}

// environ is the environment of a program that works on the bench.
func (b *bench) environ() []string {
	running := strings.Join(slices.Sorted(maps.Keys(b.running)), ",")
	return []string{contextsEnv + "=" + b.contexts, operatorEnv + "=aigerim", servicesEnv + "=" + running}
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{kafka: testenv.Kafka(t)}
	layout := must(deploy.Topics())
	topic := func(name string) string {
		spec, err := layout.Topic(name)
		require.NoError(t, err)
		return b.kafka.Topic(t, testenv.TopicSpec{Name: name, Partitions: spec.Partitions, Config: map[string]string{
			"message.timestamp.type": spec.Config["message.timestamp.type"], "cleanup.policy": spec.Config["cleanup.policy"],
		}})
	}
	b.equip(t, daemon.Topics{
		Events: topic(deploy.EventsTopic), Policies: topic(deploy.PoliciesTopic), State: topic(deploy.StateTopic), Parked: topic(deploy.ParkedTopic),
		Receipts: topic(deploy.ReceiptsTopic), Audit: topic(deploy.AuditTopic),
	})
	return b
}

// equip adds the rest to a Kafka and its topics.
func (b *bench) equip(t *testing.T, names daemon.Topics) {
	t.Helper()
	b.server, b.running = testenv.Redis(t), make(map[string]*testservice.Service)
	b.client = b.server.Client(t)
	var err error
	b.Cluster, err = cluster.New(cluster.Config{
		Kafka: stream.Config{Brokers: []string{b.kafka.Addr()}}, Topics: names,
		Connect: func() (redis.UniversalClient, error) { return b.client, nil },
	})
	require.NoError(t, err)
	b.producer, err = b.Producer()
	require.NoError(t, err)
	t.Cleanup(func() {
		for name := range b.running {
			b.stop(t, name)
		}
		for _, end := range b.finally {
			end()
		}
		require.NoError(t, b.Close())
	})
	b.contexts = filepath.Join(t.TempDir(), "contexts.yaml")
	b.configure(t)
}

// configure writes the settings that consentctl works with.
func (b *bench) configure(t testing.TB) {
	t.Helper()
	names := b.Topics
	require.NoError(t, os.WriteFile(b.contexts, fmt.Appendf(nil, `current: test
contexts:
  test:
    settings:
      kafka: {brokers: [%q]}
      redis: {addrs: [%q]}
      topics: {generation: %d, events: %s, policies: %s, state: %s, parked: %s, receipts: %s, audit: %s}
`, b.kafka.Addr(), b.server.Addr(), b.Generation, names.Events, names.Policies, names.State, names.Parked, names.Receipts, names.Audit), 0o600))
}

// relay waits in the background for the next generation to be recorded, and does then
// what people do: the services end by themselves, and are started with the new settings.
func (b *bench) relay(t *testing.T, partitions int32) {
	b.relaid = make(chan struct{})
	go func() {
		defer close(b.relaid)
		var names []string
		for name, s := range b.running {
			select {
			case err := <-s.Ended():
				assert.ErrorIs(t, err, cache.ErrLayout, name)
			case <-time.After(runbookPatience):
				t.Errorf("%s of the old generation goes on", name)
				return
			}
			names = append(names, name)
		}
		clear(b.running)
		b.Generation++
		b.events = partitions
		b.Topics.Events, b.Topics.State = topics.NameOf(b.Topics.Events, b.Generation), topics.NameOf(b.Topics.State, b.Generation)
		for _, name := range names {
			b.start(t, name)
		}
	}()
}

// relayed waits until that is done, and configures consentctl alike.
func (b *bench) relayed(t *testing.T) {
	<-b.relaid
	b.configure(t)
	ends, err := must(b.Admin()).Offsets(t.Context(), b.Topics.Events)
	require.NoError(t, err)
	b.written = 0
	for _, o := range ends {
		b.written += o.End
	}
	b.settle(t)
}

// start runs a service on the bench.
func (b *bench) start(t testing.TB, name string) {
	rules := events.SeedRules()
	make := map[string]func() (consumers.Service, error){
		marketing.Name: func() (consumers.Service, error) {
			action, err := marketing.New(b.client, rules, nil)
			return marketing.Service(action), err
		},
		targeting.Name: func() (consumers.Service, error) {
			action, err := targeting.New(b.client, rules, nil)
			return targeting.Service(action), err
		},
		affiliate.Name: func() (consumers.Service, error) {
			action, err := affiliate.New(b.client, rules, nil, nil)
			return affiliate.Service(action), err
		},
		policy.Name: func() (consumers.Service, error) { return policyService(b) },
		snapshots.Name: func() (consumers.Service, error) {
			fencer, err := stream.NewFencer(stream.ProducerConfig{Config: b.Kafka})
			if err != nil {
				return consumers.Service{}, err
			}
			b.finally = append(b.finally, fencer.Close)
			action, err := snapshots.New(snapshots.Config{
				Topic: b.Cluster.Topics.State, Generation: b.Generation, Redis: b.client, Fencer: fencer,
			})
			return snapshots.Service(action), err
		},
	}[name]
	service, err := make()
	require.NoError(t, err)
	group := ""
	if b.groups != nil {
		group = b.groups(name, b.Generation)
	}
	if name != policy.Name && !b.seeded { // the role policy has much to say where there is none
		b.seeded = true
		testpolicy.Publish(t, b.kafka, b.Topics.Policies, versions.Seed())
	}
	b.running[name] = testservice.Start(t, testservice.Config{
		Service: service, Group: group, Kafka: b.kafka.Addr(), Redis: b.client, Buckets: cmp.Or(b.buckets, benchBuckets),
		Topics: testservice.Topics{
			Events: b.Topics.Events, Policies: b.Topics.Policies, Parked: b.Topics.Parked, Receipts: b.Topics.Receipts,
			Partitions: cmp.Or(b.events, int32(must(must(deploy.Topics()).Topic(deploy.EventsTopic)).Partitions)),
		},
		Generation: b.Generation,
	})
}

func (b *bench) stop(t testing.TB, name string) {
	b.running[name].Stop(t)
	delete(b.running, name)
}

// settle waits until every running service has applied what was published.
func (b *bench) settle(t testing.TB) {
	t.Helper()
	for _, s := range b.running {
		s.Wait(t, b.written)
	}
}

// event makes an event that a person decided now.
func event(who string, kind events.Type, purposes ...events.Purpose) *events.Event {
	now := time.Now()
	e := &events.Event{
		ID: fmt.Sprint("event-", now.UnixNano()), Source: "/test", Type: kind, Subject: must(events.ParseSubject(who)),
		Purposes: must(events.SeedRules().Set(purposes...)), Decided: events.MillisOf(now), Data: []byte(`{"channel":"app"}`),
	}
	if !kind.Restricts() {
		e.Method, e.Policy, e.Evidence = events.ByPerson, "2026-11", "urn:test:evidence:1"
	}
	return e
}

// publish writes an event to the log and returns where it stands.
func (b *bench) publish(t testing.TB, e *events.Event) events.Position {
	t.Helper()
	m, err := encoded(e)
	require.NoError(t, err)
	return b.append(t, m)
}

func encoded(e *events.Event) (stream.Message, error) {
	return cloudevent.Encoder{Rules: events.SeedRules(), AnyData: true}.Encode(e)
}

// append writes a record, whatever it holds, to the log.
func (b *bench) append(t testing.TB, m stream.Message) events.Position {
	t.Helper()
	m.Topic = b.Topics.Events
	ack, err := b.producer.Publish(t.Context(), m)
	require.NoError(t, err)
	b.written++
	return events.Position{Generation: b.Generation, Partition: ack.Partition, Offset: ack.Offset}
}
