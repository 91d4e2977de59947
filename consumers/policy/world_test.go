package policy_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/consumers/policy"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	versions "github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/events/stream/recordbatch"
	"github.com/kelisim/kelisim/internal/cache"
)

func ctx() context.Context { return context.Background() }

// almaty is the offset since 1 March 2024, of which all days here are.
var almaty = time.FixedZone("+05", 5*3600)

// at reads a minute in Almaty.
func at(t slotstest.T, text string) time.Time {
	t.Helper()
	moment, err := time.ParseInLocation("2006-01-02 15:04", text, almaty)
	require.NoError(t, err)
	return moment
}

// world is a policy service with one partition, a clock that stands where it is
// put, and a log that is folded at once.
type world struct {
	*slotstest.Engine
	client    *redis.Client
	action    *policy.Action
	sweeper   *policy.Sweeper
	calendar  *policy.Calendar
	shared    policy.Shared
	published *publisher
	policies  *policies
	now       time.Time
	log       bytes.Buffer

	mu     sync.Mutex
	states map[events.Subject]events.State
	offset int64
	held   bool
	stale  bool
	redis  time.Time // Redis' clock, where it is another than now
}

func key(t require.TestingT, b byte) policy.Key {
	k, err := policy.NewKey(bytes.Repeat([]byte{b}, 32))
	require.NoError(t, err)
	return k
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{client: slotstest.Redis(t), states: make(map[events.Subject]events.State), now: at(t, "2026-11-02 10:00")}
	store, err := cache.NewRedis(ctx(), w.client, cache.Layout{
		Service: policy.Name, Topic: "consent.events.v1", Generation: 1, Partitions: 1, Buckets: 4,
	}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	_, err = store.Claim(ctx(), 0) // records the layout
	require.NoError(t, err)
	all, err := policy.Slots(ctx(), w.client)
	require.NoError(t, err)
	w.Engine = slotstest.NewEngine(w.client, all[0])
	w.calendar, err = policy.Open(w.client, all)
	require.NoError(t, err)
	w.published = &publisher{}
	w.policies = &policies{appended: make(map[events.PolicyVersion]time.Time)}
	w.policies.publish(t, versions.Seed(), at(t, "2026-11-01 09:00"))
	w.shared = policy.Shared{
		States: w, Publications: w.policies, Publisher: w.published, Events: "consent.events.v1",
		Rules: func() *events.Rules { return w.Rules }, Now: func() time.Time { return w.now },
		Logger: slog.New(slog.NewTextHandler(&w.log, nil)),
	}
	w.sweeper = policy.NewSweeper(w.client, time.Minute, w.shared)
	w.start(t, key(t, 1), policy.Key{})
	return w
}

// start starts the action with some keys.
func (w *world) start(t testing.TB, current, previous policy.Key) {
	t.Helper()
	var err error
	w.action, err = policy.New(w.client, policy.Config{
		Rules: w.shared.Rules, Key: current, Previous: previous, Publisher: w.published, Now: w.shared.Now,
	})
	require.NoError(t, err)
}

// Lookup implements [policy.States].
func (w *world) Lookup(_ context.Context, s events.Subject) (cache.View, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := events.MillisOf(w.now)
	if !w.redis.IsZero() {
		now = events.MillisOf(w.redis)
	}
	v := cache.View{State: w.states[s], Known: true, Fresh: now - 100, Now: now, Held: w.held}
	if w.stale {
		v.Fresh -= 10_000
	}
	return v, nil
}

// tell folds an event of a subject, decided now, and has the action act on it.
func (w *world) tell(t slotstest.T, s events.Subject, e events.Event) events.Outcome {
	t.Helper()
	out := w.fold(s, e)
	w.act(t, s)
	return out
}

func (w *world) fold(s events.Subject, e events.Event) events.Outcome {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.offset++
	e.Subject = s
	if e.Source == "" {
		e.Source, e.ID, e.Decided = "/app", strconv.FormatInt(w.offset, 10), events.MillisOf(w.now)
	}
	if e.Method == 0 {
		e.Method = events.ByPerson
	}
	e.Logged = events.Stamp{Position: events.Position{Generation: 1, Offset: w.offset}, Appended: max(e.Decided, events.MillisOf(w.now)) + 5}
	var out events.Outcome
	w.states[s], out = w.Rules.Apply(w.states[s], &e)
	return out
}

// act has the action act on where the subject stands.
func (w *world) act(t slotstest.T, s events.Subject) consumers.Turn {
	t.Helper()
	turn := w.Decide(t, s, w.Rules.Standing(w.states[s]))
	turn.State = w.states[s]
	require.NoError(t, w.action.Act(ctx(), w.Slot, []consumers.Turn{turn}))
	w.Done(t, []consumers.Turn{turn})
	return turn
}

func (w *world) sweep(t testing.TB) policy.Swept {
	t.Helper()
	swept, err := w.sweeper.Sweep(ctx())
	require.NoError(t, err)
	return swept
}

// obey folds everything that was published for the log, and has the action act.
func (w *world) obey(t testing.TB) {
	t.Helper()
	for _, e := range w.published.events(t) {
		w.tell(t, e.Subject, e)
	}
	w.published.forget()
}

func (w *world) set(t testing.TB, names ...events.Purpose) events.PurposeSet {
	t.Helper()
	s, err := w.Rules.Set(names...)
	require.NoError(t, err)
	return s
}

func (w *world) count(t testing.TB) policy.Count {
	t.Helper()
	c, err := w.calendar.Count(ctx(), 0)
	require.NoError(t, err)
	return c
}

// publisher keeps what was published.
type publisher struct {
	mu       sync.Mutex
	messages []stream.Message
	fails    int // the next so many calls
}

var errBroker = errors.New("no broker")

func (p *publisher) PublishAll(_ context.Context, ms []stream.Message) ([]stream.Ack, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fails > 0 {
		p.fails--
		return nil, errBroker
	}
	p.messages = append(p.messages, ms...)
	return make([]stream.Ack, len(ms)), nil
}

func (p *publisher) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages = nil
}

// of returns the messages of a topic.
func (p *publisher) of(topic string) (all []stream.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.messages {
		if m.Topic == topic {
			all = append(all, m)
		}
	}
	return all
}

// events decodes what was published for the log.
func (p *publisher) events(t testing.TB) (all []events.Event) {
	t.Helper()
	for _, m := range p.of("consent.events.v1") {
		var raw recordbatch.Headers
		for _, h := range m.Headers {
			raw = raw.Append(h.Key, h.Value)
		}
		var e events.Event
		require.NoError(t, cloudevent.Decoder{Rules: events.SeedRules()}.Decode(&recordbatch.Record{Key: m.Key, Value: m.Value, Headers: raw}, &e))
		all = append(all, e)
	}
	return all
}

// policies are published versions.
type policies struct {
	book     *versions.Book
	appended map[events.PolicyVersion]time.Time
}

func (p *policies) Book() *versions.Book { return p.book }

func (p *policies) Appended(v events.PolicyVersion) (time.Time, bool) {
	at, known := p.appended[v]
	return at, known
}

func (p *policies) publish(t require.TestingT, c *versions.Catalogue, appended time.Time) {
	var err error
	p.book, err = p.book.With(c)
	require.NoError(t, err)
	p.appended[c.Version] = appended
}
