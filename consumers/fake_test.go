package consumers

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/testpolicy"
)

const testPartitions = 3

var testLayout = cache.Layout{Service: "marketing", Topic: "consent.events.v1", Generation: 1, Partitions: testPartitions, Buckets: 8}

// fakeTopics keeps what was published.
type fakeTopics struct {
	mu       sync.Mutex
	messages map[string][]stream.Message
	fail     func(topic string) error
}

func (f *fakeTopics) PublishAll(_ context.Context, ms []stream.Message) ([]stream.Ack, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range ms {
		if f.fail != nil {
			if err := f.fail(m.Topic); err != nil {
				return nil, err
			}
		}
		if f.messages == nil {
			f.messages = make(map[string][]stream.Message)
		}
		f.messages[m.Topic] = append(f.messages[m.Topic], m)
	}
	return make([]stream.Ack, len(ms)), nil
}

func (f *fakeTopics) of(topic string) []stream.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]stream.Message(nil), f.messages[topic]...)
}

// fakeAction keeps the set of subjects that are stopped, as a service would.
type fakeAction struct {
	mu      sync.Mutex
	stopped map[string]events.PurposeSet
	states  map[string]events.State
	fail    func() error
	acts    int
}

func (a *fakeAction) Act(_ context.Context, _ Slot, turns []Turn) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.acts++
	if a.fail != nil {
		if err := a.fail(); err != nil {
			return err
		}
	}
	if a.stopped == nil {
		a.stopped, a.states = make(map[string]events.PurposeSet), make(map[string]events.State)
	}
	for _, t := range turns {
		a.stopped[t.Subject.Reveal()], a.states[t.Subject.Reveal()] = t.Standing.Stopped, t.State
	}
	return nil
}

func (a *fakeAction) of(s events.Subject) events.PurposeSet {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stopped[s.Reveal()]
}

// flush empties Redis: the states, and with them the service's own keys.
func (b *bed) flush() {
	b.action.mu.Lock()
	defer b.action.mu.Unlock()
	clear(b.action.stopped)
	b.store.Flush()
}

// bed is a consumer over fakes.
type bed struct {
	log    *fakeLog
	store  *cache.Memory
	topics *fakeTopics
	action *fakeAction
	policy *fakePolicy
	rules  *events.Rules
	cfg    Config
}

func newBed(t testing.TB) *bed {
	store, err := cache.NewMemory(testLayout, nil)
	require.NoError(t, err)
	b := &bed{log: newFakeLog(), store: store, topics: &fakeTopics{}, action: &fakeAction{}, policy: newFakePolicy(t, testpolicy.Seed(t))}
	b.rules = b.policy.Current().Rules
	b.cfg = Config{
		Service: Service{Name: "marketing", Purposes: []events.Purpose{"promotion", "research"}, Action: b.action},
		Policy:  b.policy, Generation: 1, Partitions: testPartitions,
		Log: b.log, Decoder: b.log.decoder, Store: store, Publisher: b.topics,
		Slots: func(p int32) Slot { return Slot{Partition: p, Prefix: testLayout.Prefix(p)} },
	}
	return b
}

// start runs a consumer until stop is called, which returns what Run returned.
func (b *bed) start(t testing.TB) (stop func() error) {
	c, err := New(b.cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}
}

func subject(t testing.TB, n int) events.Subject {
	s, err := events.ParseSubject(fmt.Sprintf("s-%04d", n))
	require.NoError(t, err)
	return s
}

// caughtUp says whether the cache holds all of the log, and all of it is acted on.
func (b *bed) caughtUp(t testing.TB) bool {
	for p, end := range b.log.end() {
		if m := b.mark(int32(p)); !m.Known || m.Next < end || m.Acted < end {
			return false
		}
	}
	return true
}

// mark reads a partition's mark, as one who does not own it.
func (b *bed) mark(p int32) cache.Mark {
	return b.store.Refresh(context.Background(), []cache.Proof{{Partition: p}})[0].Mark
}

// fold is the pure fold of the whole log, without poison.
func (b *bed) fold() map[events.Subject]events.State {
	out := make(map[events.Subject]events.State)
	for i := range b.log.told {
		e := b.log.told[i]
		if e.Type == 0 || events.PartitionOf(e.Subject.Reveal(), testPartitions) != e.Logged.Position.Partition {
			continue
		}
		out[e.Subject], _ = b.rules.Apply(out[e.Subject], &e)
	}
	return out
}
