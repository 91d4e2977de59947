package generation

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
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
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/oncall/cluster"
	"github.com/kelisim/kelisim/internal/oncall/logread"
	"github.com/kelisim/kelisim/internal/oncall/parked"
	"github.com/kelisim/kelisim/internal/oncall/verify"
	"github.com/kelisim/kelisim/internal/policyfeed"
	"github.com/kelisim/kelisim/internal/synthetic"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testservice"
	"github.com/kelisim/kelisim/schemas"
)

const purpose = "promotion"

// deeds is an action that remembers where it left everybody, as a service's own keys
// do: they are of one generation.
type deeds struct {
	mu      sync.Mutex
	stopped map[events.Subject]events.PurposeSet
}

func (d *deeds) Act(_ context.Context, _ consumers.Slot, turns []consumers.Turn) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range turns {
		d.stopped[t.Subject] = t.Standing.Stopped
	}
	return nil
}

// running is one service in one generation.
type running struct {
	*testservice.Service
	deeds *deeds
}

// world is a log with its services, producers and people, before and behind a barrier.
type world struct {
	t        *testing.T
	kafka    *testenv.Broker
	conf     stream.Config
	client   *redis.Client
	admin    *stream.Admin
	producer *stream.Producer
	people   *synthetic.Generator
	rules    *events.Rules
	topics   testservice.Topics
	old, new cloudevent.Layout
	running  map[string]*running

	mu     sync.Mutex // of what follows, and the order of what is published
	states map[events.Subject]events.State
	denied map[events.Subject]time.Time // since when all that was acknowledged denies the purpose
	logged int
}

func newWorld(t *testing.T, before, after int32) *world {
	w := &world{
		t: t, kafka: testenv.Kafka(t), client: testenv.Redis(t).Client(t), rules: events.SeedRules(),
		running: make(map[string]*running), states: make(map[events.Subject]events.State), denied: make(map[events.Subject]time.Time),
	}
	w.conf = stream.Config{Brokers: w.kafka.Addrs()}
	w.topics = testservice.NewTopics(t, w.kafka, int(before))
	w.old = cloudevent.Layout{Generation: 1, Topic: w.topics.Events, Partitions: before}
	w.new = cloudevent.Layout{Generation: 2, Topic: w.topics.Events + ".g2", Partitions: after}
	var err error
	w.admin, err = stream.NewAdmin(w.conf)
	require.NoError(t, err)
	w.producer, err = stream.NewProducer(stream.ProducerConfig{Config: w.conf})
	require.NoError(t, err)
	w.people, err = synthetic.New(synthetic.Config{Seed: rand.Uint64(), Subjects: 60}, w.rules)
	require.NoError(t, err)
	t.Cleanup(func() {
		for name := range w.running {
			w.stop(name)
		}
		_ = w.producer.Close(context.Background())
	})
	return w
}

// start runs a service on one of the two logs.
func (w *world) start(name string, on cloudevent.Layout) {
	topics := w.topics
	topics.Events, topics.Partitions = on.Topic, on.Partitions
	d := &deeds{stopped: make(map[events.Subject]events.PurposeSet)}
	w.running[name] = &running{testservice.Start(w.t, testservice.Config{
		Service: consumers.Service{Name: name, Purposes: []events.Purpose{purpose, "research"}, Action: d},
		Kafka:   w.kafka.Addr(), Redis: w.client, Topics: topics, Buckets: 8, Generation: on.Generation,
	}), d}
}

func (w *world) stop(name string) {
	w.running[name].Stop(w.t)
	delete(w.running, name)
}

// publish appends events to a log, one after the other, and folds what was acknowledged
// as one who sees both logs.
func (w *world) publish(to cloudevent.Layout, all ...events.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range all {
		w.append(to, &all[i])
	}
}

func (w *world) append(to cloudevent.Layout, e *events.Event) {
	e.Decided = max(1, min(e.Decided, events.MillisOf(time.Now())))
	m, err := cloudevent.Encoder{Rules: w.rules, Data: schemas.Data}.Encode(e)
	require.NoError(w.t, err)
	m.Topic = to.Topic
	if !e.Type.Restricts() {
		w.denied[e.Subject] = time.Time{} // a guard may hear of it before we do
	}
	ack, err := w.producer.Publish(w.t.Context(), m)
	require.NoError(w.t, err)
	e.Logged = events.Stamp{
		Position: events.Position{Generation: to.Generation, Partition: ack.Partition, Offset: ack.Offset}, Appended: events.MillisOf(ack.Appended),
	}
	w.fold(e)
}

func (w *world) fold(e *events.Event) {
	w.states[e.Subject], _ = w.rules.Apply(w.states[e.Subject], e)
	switch allowed := w.rules.Decide(w.states[e.Subject], purpose).Allowed; {
	case allowed:
		w.denied[e.Subject] = time.Time{}
	case w.denied[e.Subject].IsZero():
		w.denied[e.Subject] = time.Now()
	}
	w.logged++
}

// live publishes what people decide.
func (w *world) live(to cloudevent.Layout, n int) {
	for range n {
		w.publish(to, w.people.Next(events.MillisOf(time.Now())))
	}
}

// decide makes a decision of one person.
func (w *world) decide(kind events.Type, s events.Subject) events.Event {
	set, err := w.rules.Set(purpose)
	require.NoError(w.t, err)
	return events.Event{
		Type: kind, Method: events.ByPerson, ID: fmt.Sprint("d-", rand.Uint64()), Source: "/kelisim/test", Subject: s, Purposes: set,
		Policy: events.SeedPolicy, Evidence: "urn:kelisim:test", Decided: events.MillisOf(time.Now()), Data: []byte(`{"channel":"web"}`),
	}
}

func (w *world) subject(id string) events.Subject {
	s, err := events.ParseSubject(id)
	require.NoError(w.t, err)
	return s
}

// caughtUp waits until a service has applied and acted on all that its log holds.
func (w *world) caughtUp(on cloudevent.Layout, names ...string) {
	w.t.Helper()
	defer func() {
		for _, name := range names {
			w.t.Logf("%s stands at %+v", name, w.running[name].Marks())
			select {
			case err := <-w.running[name].Ended():
				w.t.Logf("%s ended: %v", name, err)
			default:
			}
		}
	}()
	require.Eventually(w.t, func() bool {
		ends, err := w.admin.Offsets(w.t.Context(), on.Topic)
		if err != nil {
			return false
		}
		for _, name := range names {
			for p, m := range w.running[name].Marks() {
				if end := ends[int32(p)].End; !m.Known || m.Next < end || m.Acted < end {
					return false
				}
			}
		}
		return true
	}, 30*time.Second, 10*time.Millisecond)
}

// config is what the command would make.
func (w *world) config() Config {
	services, err := cache.Services(w.t.Context(), w.client)
	require.NoError(w.t, err)
	log, err := logread.New(w.conf)
	require.NoError(w.t, err)
	policy, err := policyfeed.New(policyfeed.Config{Kafka: w.conf, Topic: w.topics.Policies})
	require.NoError(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() { _ = policy.Run(ctx) })
	w.t.Cleanup(func() {
		cancel()
		following.Wait()
	})
	return Config{
		Old: w.old, New: w.new, Services: services, Kafka: w.conf, Admin: w.admin, Publisher: w.producer,
		Open: func(ctx context.Context, live, next cache.Layout) (*cache.Successor, error) {
			return cache.OpenSuccessor(ctx, w.client, live, next)
		},
		Create: []deploy.Topic{{
			Name: w.new.Topic, Partitions: int(w.new.Partitions), Replicas: 1, Config: map[string]string{"message.timestamp.type": "LogAppendTime"},
		}},
		Parked: &parked.Desk{
			Log: log, Publisher: w.producer, Rules: w.rules, Decoder: cloudevent.Decoder{Rules: w.rules}, Operator: "test",
			Topics: parked.Topics{Events: w.new.Topic, Parked: w.topics.Parked, Generation: 2, Partitions: w.new.Partitions},
		},
		Topics: Topics{Parked: w.topics.Parked, Receipts: w.topics.Receipts}, Policy: policy, Rules: w.rules, Patience: 20 * time.Second,
	}
}

// requireEqual holds the new caches against the pure fold of both logs, person by
// person and purpose by purpose, and against the log by the command that is for that.
func (w *world) requireEqual(names ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range names {
		g := guard.New(w.client, name, guard.WithDeadline(5*time.Second))
		for _, s := range slices.SortedFunc(maps.Keys(w.states), func(a, b events.Subject) int { return strings.Compare(a.Reveal(), b.Reveal()) }) {
			for _, p := range w.rules.Names(w.rules.All()) {
				want := w.rules.Decide(w.states[s], p)
				var got guard.Decision
				require.Eventually(w.t, func() bool { // a moment may be too old on a busy machine
					got = g.Check(w.t.Context(), s, p)
					return got.Reason != events.Stale && got.Reason != events.Unreachable
				}, 10*time.Second, time.Millisecond, "%v", s)
				require.Equal(w.t, want.Allowed, got.Allowed, "%s, %v, %s: %v, and the logs say %v", name, s, p, got.Reason, want.Reason)
				require.Equal(w.t, want.Reason, got.Reason, "%s, %v, %s", name, s, p)
			}
		}
		d := w.running[name].deeds
		d.mu.Lock()
		serves, err := w.rules.Set(purpose, "research")
		require.NoError(w.t, err)
		for s, state := range w.states {
			require.Equal(w.t, w.rules.Standing(state).Stopped&serves, d.stopped[s]&serves, "%s acted on %v", name, s)
		}
		d.mu.Unlock()
	}
	k, err := cluster.New(cluster.Config{
		Kafka: w.conf, Connect: func() (redis.UniversalClient, error) { return w.client, nil },
		Topics: daemon.Topics{
			Events: w.new.Topic, Parked: w.topics.Parked, Receipts: w.topics.Receipts, Policies: w.topics.Policies, Generation: 2,
		},
	})
	require.NoError(w.t, err)
	report, err := verify.Run(w.t.Context(), k, verify.Config{})
	require.NoError(w.t, err, "%+v", report)
}

// keptAside waits until the old caches hold a person because of an event behind a barrier.
func (w *world) keptAside(s events.Subject, names ...string) {
	w.t.Helper()
	for _, name := range names {
		old := cache.NewInspector(w.client, w.running[name].Layout)
		require.Eventually(w.t, func() bool {
			held, err := old.Holds(w.t.Context(), s)
			return err == nil && len(held) > 0
		}, 10*time.Second, time.Millisecond, name)
	}
}

// requireHeld has every guard deny a person because of an event that is kept aside.
func (w *world) requireHeld(s events.Subject, names ...string) {
	w.t.Helper()
	for _, name := range names {
		g := guard.New(w.client, name, guard.WithDeadline(5*time.Second))
		require.Eventually(w.t, func() bool { return g.Check(w.t.Context(), s, purpose).Reason == events.Held }, 10*time.Second, time.Millisecond, name)
	}
}

// bound is how long after a withdrawal was acknowledged somebody may still be allowed
// (DESIGN 1, P1).
const bound = 5 * time.Second

// watch asks guards all the time, and fails the test when one allows what the logs deny.
func (w *world) watch(names ...string) (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	var watching sync.WaitGroup
	for _, name := range names {
		g := guard.New(w.client, name)
		watching.Go(func() {
			known := make(map[events.Subject]time.Time) // since when it was seen to be denied
			pace := time.NewTicker(time.Millisecond)    // the machine is for others too
			defer pace.Stop()
			for ctx.Err() == nil {
				<-pace.C
				s, before, ok := w.anybody()
				if !ok {
					continue
				}
				asked := time.Now()
				d := g.Check(ctx, s, purpose)
				if before.IsZero() || !before.Equal(w.deniedSince(s)) {
					continue // something was decided meanwhile
				}
				switch {
				case !d.Allowed && d.Reason != events.Stale && d.Reason != events.Unreachable:
					known[s] = before
				case d.Allowed && known[s].Equal(before):
					w.t.Errorf("%s: %v is allowed again, denied by the logs since %v", name, s, before)
					return
				case d.Allowed && asked.Sub(before) > bound:
					w.t.Errorf("%s: %v is allowed %v after the logs deny it", name, s, asked.Sub(before))
					return
				}
			}
		})
	}
	return func() {
		cancel()
		watching.Wait()
	}
}

// anybody draws a person of whom something is known, and since when the logs deny.
func (w *world) anybody() (events.Subject, time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s := range w.states { // in no order
		return s, w.denied[s], true
	}
	return events.Subject{}, time.Time{}, false
}

func (w *world) deniedSince(s events.Subject) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.denied[s]
}

// leave waits until a service of the old generation has found out that there is
// another, and ended.
func (w *world) leave(name string) {
	w.t.Helper()
	select {
	case err := <-w.running[name].Ended():
		require.ErrorIs(w.t, err, cache.ErrLayout)
	case <-time.After(30 * time.Second):
		w.t.Fatalf("%s of the old generation goes on", name)
	}
	delete(w.running, name)
}
