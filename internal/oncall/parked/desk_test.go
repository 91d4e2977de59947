package parked_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/logread"
	"github.com/kelisim/kelisim/internal/oncall/parked"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testservice"
	"github.com/kelisim/kelisim/schemas"
)

const partitions = 3

// idle is an action that has nothing to stop.
type idle struct{}

func (idle) Act(context.Context, consumers.Slot, []consumers.Turn) error { return nil }

// scene is two services, and a desk that looks after what they park.
type scene struct {
	t        *testing.T
	broker   *testenv.Broker
	topics   testservice.Topics
	server   *testenv.RedisServer
	producer *stream.Producer
	log      *logread.Log
	rules    *events.Rules
	services []*testservice.Service
	desk     *parked.Desk
	told     int
}

// newScene begins one; parkable is the parked topic's max.message.bytes, if it is not
// the broker's own.
func newScene(t *testing.T, parkable ...string) *scene {
	broker, server := testenv.Kafka(t), testenv.Redis(t)
	conf := stream.Config{Brokers: []string{broker.Addr()}}
	producer, err := stream.NewProducer(stream.ProducerConfig{Config: conf})
	require.NoError(t, err)
	t.Cleanup(func() { _ = producer.Close(context.Background()) })
	log, err := logread.New(conf)
	require.NoError(t, err)
	s := &scene{
		t: t, broker: broker, topics: testservice.NewTopics(t, broker, partitions), server: server, producer: producer, log: log,
		rules: events.SeedRules(),
	}
	config := map[string]string{"message.timestamp.type": "LogAppendTime"}
	for _, most := range parkable {
		config["max.message.bytes"] = most
	}
	s.topics.Parked = broker.Topic(t, testenv.TopicSpec{Name: "parked", Partitions: 2, Config: config})
	client := server.Client(t)
	caches := make(map[string]parked.Cache)
	for _, name := range []string{"marketing", "targeting"} {
		service := testservice.Start(t, testservice.Config{
			Service: consumers.Service{Name: name, Purposes: []events.Purpose{"promotion"}, Action: idle{}},
			Kafka:   broker.Addr(), Redis: client, Topics: s.topics, Buckets: 8,
		})
		t.Cleanup(func() { service.Stop(t) })
		s.services = append(s.services, service)
		caches[name] = s.mender(client, name)
	}
	s.desk = &parked.Desk{
		Log: log, Publisher: producer, Rules: s.rules, Decoder: cloudevent.Decoder{Rules: s.rules}, Caches: caches,
		Topics:   parked.Topics{Events: s.topics.Events, Parked: s.topics.Parked, Generation: 1, Partitions: partitions},
		Operator: "aigerim",
	}
	return s
}

// mender waits for the service to record its layout.
func (s *scene) mender(client redis.UniversalClient, service string) (m *cache.Mender) {
	require.Eventually(s.t, func() (ok bool) {
		var err error
		m, err = cache.OpenMender(s.t.Context(), client, service, nil)
		return err == nil
	}, 30*time.Second, 20*time.Millisecond)
	return m
}

// person returns a subject of a partition.
func (s *scene) person(partition int32, name string) events.Subject {
	for i := 0; ; i++ {
		p, err := events.ParseSubject(name + strings.Repeat("x", i))
		require.NoError(s.t, err)
		if events.PartitionOf(p.Reveal(), partitions) == partition {
			return p
		}
	}
}

// message encodes an event of a person, decided now and then.
func (s *scene) message(who events.Subject, kind events.Type, decided time.Time, purposes ...events.Purpose) stream.Message {
	set, err := s.rules.Set(purposes...)
	require.NoError(s.t, err)
	s.told++
	e := events.Event{
		ID: "id-" + who.Reveal() + "-" + time.Duration(s.told).String(), Source: "/web", Type: kind, Method: events.ByPerson, Subject: who,
		Decided: events.MillisOf(decided), Purposes: set, Data: []byte(`{"channel":"web"}`), Evidence: "urn:evidence:1",
	}
	if kind == events.Granted {
		e.Policy = events.SeedPolicy
	}
	m, err := cloudevent.Encoder{Rules: s.rules, Data: schemas.Data}.Encode(&e)
	require.NoError(s.t, err)
	m.Topic = s.topics.Events
	return m
}

func (s *scene) publish(m stream.Message) events.Position {
	ack, err := s.producer.Publish(s.t.Context(), m)
	require.NoError(s.t, err)
	return events.Position{Generation: 1, Partition: ack.Partition, Offset: ack.Offset}
}

// tell publishes an event of a person.
func (s *scene) tell(who events.Subject, kind events.Type, purposes ...events.Purpose) events.Position {
	return s.publish(s.message(who, kind, time.Now(), purposes...))
}

// settle waits until both services have applied everything that is in the log.
func (s *scene) settle() {
	ends, err := s.log.Offsets(s.t.Context(), s.topics.Events)
	require.NoError(s.t, err)
	for _, service := range s.services {
		require.Eventually(s.t, func() bool {
			for p, m := range service.Marks() {
				if m.Next < ends[int32(p)].End {
					return false
				}
			}
			return true
		}, time.Minute, 10*time.Millisecond)
	}
}

// cases reads what is parked, with holds.
func (s *scene) cases() []*parked.Case {
	cases, strange, err := s.desk.Cases(s.t.Context())
	require.NoError(s.t, err)
	require.Zero(s.t, strange)
	require.NoError(s.t, s.desk.Holds(s.t.Context(), cases))
	return cases
}

// only is the one case that is parked.
func (s *scene) only() *parked.Case {
	cases := s.cases()
	require.Len(s.t, cases, 1)
	return cases[0]
}

func (s *scene) plan(force bool) *parked.Redrive {
	plan, err := s.desk.PlanRedrive(s.t.Context(), s.cases(), "a test", force)
	require.NoError(s.t, err)
	return plan
}

func (s *scene) apply(plan *parked.Redrive) {
	require.NoError(s.t, s.desk.Apply(s.t.Context(), plan, 0, func(*parked.Item) {}))
}

// kept is a record of the log of events, copied.
type kept struct {
	at      events.Position
	key     string
	value   string
	headers [][2]string
}

// redriven are the records of the log that say where they first stood.
func (s *scene) redriven() (all []kept) {
	ends, err := s.log.Offsets(s.t.Context(), s.topics.Events)
	require.NoError(s.t, err)
	ranges := make(map[int32]stream.Range)
	for p, o := range ends {
		ranges[p] = stream.Range{From: o.First, To: o.End}
	}
	require.NoError(s.t, s.log.Read(s.t.Context(), s.topics.Events, ranges, func(b *stream.Batch) error {
		for i := range b.Records {
			r := &b.Records[i]
			k := kept{at: events.Position{Generation: 1, Partition: b.Partition, Offset: r.Offset}, key: string(r.Key), value: string(r.Value)}
			for key, value := range r.Headers.All() {
				k.headers = append(k.headers, [2]string{string(key), string(value)})
			}
			if strings.Contains(k.value, "firstposition") || k.header("ce_firstposition") != "" {
				all = append(all, k)
			}
		}
		return nil
	}))
	return all
}

func (k *kept) header(name string) string {
	for _, h := range k.headers {
		if h[0] == name {
			return h[1]
		}
	}
	return ""
}

var errDown = errors.New("the broker is down")

// mute is a publisher that fails on one topic.
type mute struct {
	parked.Publisher
	topic string
}

func (m mute) Publish(ctx context.Context, msg stream.Message) (stream.Ack, error) {
	if msg.Topic == m.topic {
		return stream.Ack{}, errDown
	}
	return m.Publisher.Publish(ctx, msg)
}
