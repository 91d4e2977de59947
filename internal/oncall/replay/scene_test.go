package replay_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
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
	"github.com/kelisim/kelisim/internal/oncall/replay"
	"github.com/kelisim/kelisim/internal/synthetic"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testservice"
	"github.com/kelisim/kelisim/schemas"
)

const partitions = 4

// counted is an action that counts whom it was called for.
type counted struct {
	mu    sync.Mutex
	turns map[events.Subject]int
}

func (c *counted) Act(_ context.Context, _ consumers.Slot, turns []consumers.Turn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range turns {
		c.turns[t.Subject]++
	}
	return nil
}

func (c *counted) of(s events.Subject) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.turns[s]
}

// scene is two services on a log, and a bench beside them.
type scene struct {
	t        *testing.T
	broker   *testenv.Broker
	topics   testservice.Topics
	server   *testenv.RedisServer
	client   *redis.Client
	producer *stream.Producer
	rules    *events.Rules
	services map[string]*testservice.Service
	action   *counted
	bench    *replay.Bench
	said     *journal
	people   []events.Subject
	told     int
}

// journal is what the services log.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) says(text string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Contains(j.text.String(), text)
}

var services = []string{"marketing", "targeting"}

func newScene(t *testing.T, subjects, told int) *scene {
	broker, server := testenv.Kafka(t), testenv.Redis(t)
	conf := stream.Config{Brokers: []string{broker.Addr()}}
	producer, err := stream.NewProducer(stream.ProducerConfig{Config: conf})
	require.NoError(t, err)
	t.Cleanup(func() { _ = producer.Close(context.Background()) })
	log, err := logread.New(conf)
	require.NoError(t, err)
	s := &scene{
		t: t, broker: broker, topics: testservice.NewTopics(t, broker, partitions), server: server, client: server.Client(t), producer: producer,
		rules: events.SeedRules(), services: make(map[string]*testservice.Service), action: &counted{turns: make(map[events.Subject]int)}, said: new(journal),
	}
	s.people = s.tell("p", 1, subjects, told)
	s.bench = &replay.Bench{
		Log: log, Topic: s.topics.Events, Generation: 1, Partitions: partitions, Rules: s.rules,
		Decoder: cloudevent.Decoder{Rules: s.rules}, Caches: make(map[string]replay.Cache),
	}
	for _, name := range services {
		s.start(name)
	}
	t.Cleanup(func() {
		for name := range s.services {
			s.stop(name)
		}
	})
	s.settle()
	for _, name := range services {
		m, err := cache.OpenMender(t.Context(), s.client, name, nil)
		require.NoError(t, err)
		s.bench.Caches[name] = m
	}
	return s
}

func (s *scene) start(name string) {
	s.services[name] = testservice.Start(s.t, testservice.Config{
		Service: consumers.Service{Name: name, Purposes: []events.Purpose{"promotion", "research"}, Action: s.action},
		Kafka:   s.broker.Addr(), Redis: s.client, Topics: s.topics, Buckets: 16, Logger: slog.New(slog.NewTextHandler(s.said, nil)),
	})
}

func (s *scene) stop(name string) {
	s.services[name].Stop(s.t)
	delete(s.services, name)
}

// tell publishes n decisions of made-up people and returns who they are.
func (s *scene) tell(prefix string, seed uint64, subjects, n int) (who []events.Subject) {
	people, err := synthetic.New(synthetic.Config{Seed: seed, Subjects: subjects, Prefix: prefix + "-"}, s.rules)
	require.NoError(s.t, err)
	met := make(map[events.Subject]bool)
	messages := make([]stream.Message, n)
	now := events.MillisOf(time.Now()) - events.Millis(n)
	for i := range n {
		e := people.Next(now + events.Millis(i))
		if !met[e.Subject] {
			met[e.Subject], who = true, append(who, e.Subject)
		}
		messages[i] = s.encode(&e)
	}
	_, err = s.producer.PublishAll(context.Background(), messages)
	require.NoError(s.t, err)
	return who
}

func (s *scene) encode(e *events.Event) stream.Message {
	m, err := cloudevent.Encoder{Rules: s.rules, Data: schemas.Data}.Encode(e)
	require.NoError(s.t, err)
	m.Topic = s.topics.Events
	return m
}

// decide publishes what a person decides now.
func (s *scene) decide(who events.Subject, kind events.Type, purposes ...events.Purpose) events.Position {
	return s.decideUnder(events.SeedPolicy, who, kind, purposes...)
}

func (s *scene) decideUnder(version events.PolicyVersion, who events.Subject, kind events.Type, purposes ...events.Purpose) events.Position {
	set, err := s.rules.Set(purposes...)
	require.NoError(s.t, err)
	s.told++
	e := events.Event{
		ID: fmt.Sprint("told-", s.told), Source: "/told", Type: kind, Method: events.ByPerson, Subject: who, Purposes: set,
		Decided: events.MillisOf(time.Now()), Data: []byte(`{"channel":"app"}`), Evidence: "urn:evidence:1",
	}
	if kind == events.Granted {
		e.Policy = version
	}
	ack, err := s.producer.Publish(s.t.Context(), s.encode(&e))
	require.NoError(s.t, err)
	return events.Position{Generation: 1, Partition: ack.Partition, Offset: ack.Offset}
}

// settle waits until the running services have applied and acted on the whole log.
func (s *scene) settle() {
	ends, err := s.bench0().Offsets(s.t.Context(), s.topics.Events)
	require.NoError(s.t, err)
	for _, service := range s.services {
		require.Eventually(s.t, func() bool {
			for p, m := range service.Marks() {
				if m.Next < ends[int32(p)].End || m.Acted < ends[int32(p)].End || m.Epoch == 0 {
					return false
				}
			}
			return true
		}, time.Minute, 10*time.Millisecond)
	}
}

func (s *scene) bench0() *logread.Log {
	log, err := logread.New(stream.Config{Brokers: []string{s.broker.Addr()}})
	require.NoError(s.t, err)
	return log
}

// place returns the bucket and the field of a subject in a service's cache.
func (s *scene) place(service string, who events.Subject) (bucket, field string) {
	prefix := s.bench.Caches[service].Layout().Prefix(s.bench.Caches[service].Layout().PartitionOf(who))
	for _, key := range s.client.Keys(s.t.Context(), prefix+"s:*").Val() {
		if s.client.HExists(s.t.Context(), key, who.Reveal()).Val() {
			return key, who.Reveal()
		}
	}
	require.Fail(s.t, "nothing is stored of the subject")
	return "", ""
}

// damage overwrites what a service holds of a subject, or deletes it.
func (s *scene) damage(service string, who events.Subject, with string) {
	bucket, field := s.place(service, who)
	if with == "" {
		require.NoError(s.t, s.client.HDel(s.t.Context(), bucket, field).Err())
		return
	}
	require.NoError(s.t, s.client.HSet(s.t.Context(), bucket, field, with).Err())
}

func (s *scene) stored(service string, who events.Subject) string {
	bucket, field := s.place(service, who)
	return s.client.HGet(s.t.Context(), bucket, field).Val()
}

// at returns a person of a partition who is allowed promotion or is not.
func (s *scene) person(allowed bool, not ...events.Subject) events.Subject {
	set, err := s.rules.Set("promotion")
	require.NoError(s.t, err)
	for _, who := range s.people {
		state, err := events.ParseState([]byte(s.stored("marketing", who)))
		require.NoError(s.t, err)
		known := false
		for _, n := range not {
			known = known || n == who
		}
		if !known && (s.rules.Standing(state).Allowed&set != 0) == allowed {
			return who
		}
	}
	require.Fail(s.t, "nobody is like that")
	return events.Subject{}
}

// dump is every key of the caches with its content, but for what moves by itself.
func (s *scene) dump() map[string]map[string]string {
	all := make(map[string]map[string]string)
	for _, key := range s.client.Keys(s.t.Context(), "consent:*").Val() {
		if s.client.Type(s.t.Context(), key).Val() != "hash" {
			continue
		}
		all[key] = s.client.HGetAll(s.t.Context(), key).Val()
		for _, moving := range []string{"fresh", "receipted", "chunk"} {
			delete(all[key], moving)
		}
	}
	return all
}

// states are the dump without the positions.
func (s *scene) states() map[string]map[string]string {
	all := s.dump()
	for key := range all {
		if !strings.Contains(key, ":s:") {
			delete(all, key)
		}
	}
	return all
}

func (s *scene) plan(sel replay.Selection, wish replay.Wish) *replay.Plan {
	s.t.Helper()
	p, err := s.bench.NewPlan(s.t.Context(), sel, wish)
	require.NoError(s.t, err)
	return p
}

var two = replay.Orders{Operator: "aigerim", PermitGrants: true, SecondOperator: "dana"}

func (s *scene) apply(p *replay.Plan, o replay.Orders) (*replay.Report, error) {
	w, err := s.bench.Check(s.t.Context(), p, o)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	return w.Do(s.t.Context())
}

// load publishes decisions of other people, and now and then of ours, until it is
// stopped.
func (s *scene) load() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		pace := time.NewTicker(5 * time.Millisecond)
		defer pace.Stop()
		for seed := uint64(1000); ctx.Err() == nil; seed++ {
			s.tell(fmt.Sprint("load", seed), seed, 3, 10)
			<-pace.C
		}
	})
	stop = func() { cancel(); ended.Wait() }
	s.t.Cleanup(stop)
	return stop
}
