package consumers

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/testpolicy"
)

const testPartitions = 3

var testLayout = cache.Layout{Service: "marketing", Topic: "consent.events.v1", Generation: 1, Partitions: testPartitions, Buckets: 8}

// fakeLog is a log in memory: what was told, by partition, and sessions over it.
type fakeLog struct {
	mu      sync.Mutex
	records [testPartitions][]stream.Record
	told    []events.Event            // by the number in a record's value
	names   map[uint32]events.Purpose // a purpose that the event names beside its set
	grown   chan struct{}
	perPoll int // records of one partition in one fetch
	commits map[int32]int64
	starts  [testPartitions]int64
}

func newFakeLog() *fakeLog {
	return &fakeLog{grown: make(chan struct{}), perPoll: 100, commits: make(map[int32]int64)}
}

// tell appends an event to its subject's partition.
func (l *fakeLog) tell(e events.Event) events.Stamp {
	return l.tellIn(events.PartitionOf(e.Subject.Reveal(), testPartitions), e)
}

func (l *fakeLog) tellIn(p int32, e events.Event) events.Stamp {
	l.mu.Lock()
	defer l.mu.Unlock()
	value := binary.BigEndian.AppendUint32(nil, uint32(len(l.told)))
	at := events.Stamp{Position: events.Position{Generation: 1, Partition: p, Offset: int64(len(l.records[p]))}, Appended: e.Decided}
	e.Logged = at
	l.told = append(l.told, e)
	l.records[p] = append(l.records[p], stream.Record{
		Partition: p, Offset: at.Position.Offset, Time: int64(at.Appended), LogAppend: true, Key: []byte(e.Subject.Reveal()), Value: value,
	})
	close(l.grown)
	l.grown = make(chan struct{})
	return at
}

// naming has the event that is told next name a purpose that not every policy has.
func (l *fakeLog) naming(p events.Purpose) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.names == nil {
		l.names = make(map[uint32]events.Purpose)
	}
	l.names[uint32(len(l.told))] = p
}

// fakeDecoder reads what a log was told, by the purposes of some rules.
type fakeDecoder struct {
	*fakeLog
	rules *events.Rules
}

func (l *fakeLog) decoder(rules *events.Rules) Decoder { return fakeDecoder{l, rules} }

// Decode implements Decoder: an event without a type is poison.
func (d fakeDecoder) Decode(r *stream.Record, e *events.Event) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := binary.BigEndian.Uint32(r.Value)
	*e = d.told[n]
	if e.Type == 0 {
		return poison("test-poison")
	}
	if name := d.names[n]; name != "" {
		set, err := d.rules.Set(name)
		if err != nil {
			return poison(ReasonUnknownPurpose)
		}
		e.Purposes |= set
	}
	return nil
}

type poison string

func (p poison) Error() string  { return "poison" }
func (p poison) Reason() string { return string(p) }

// end returns the end of every partition.
func (l *fakeLog) end() (ends [testPartitions]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.records {
		ends[p] = int64(len(l.records[p]))
	}
	return ends
}

func (l *fakeLog) Run(ctx context.Context, handle func(context.Context, Session) error) error {
	for ctx.Err() == nil {
		if err := handle(ctx, &fakeSession{log: l, at: make(map[int32]int64)}); err != nil {
			return err
		}
	}
	return ctx.Err()
}

type fakeSession struct {
	log *fakeLog
	mu  sync.Mutex
	at  map[int32]int64
}

func (s *fakeSession) Partitions() []int32 { return []int32{0, 1, 2} }

func (s *fakeSession) LogStart(_ context.Context, p int32) (int64, error) {
	return s.log.starts[p], nil
}

func (s *fakeSession) Start(at map[int32]int64) error {
	for p, o := range at {
		_ = s.Seek(p, o)
	}
	return nil
}

func (s *fakeSession) Seek(p int32, o int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at[p] = o
	return nil
}

func (s *fakeSession) Commit(at map[int32]int64) error {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	for p, o := range at {
		s.log.commits[p] = o
	}
	return nil
}

// Poll returns what is there, or after half a second that nothing is.
func (s *fakeSession) Poll(ctx context.Context) (*stream.Fetch, error) {
	sent := time.Now()
	for {
		s.mu.Lock()
		s.log.mu.Lock()
		f := &stream.Fetch{Sent: sent}
		found := false
		for p, at := range s.at {
			all := s.log.records[p]
			next := min(at+int64(s.log.perPoll), int64(len(all)))
			found = found || next > at
			f.Batches = append(f.Batches, stream.Batch{
				Partition: p, From: at, Records: all[at:next], Next: next, HighWatermark: int64(len(all)), LastStable: int64(len(all)),
			})
		}
		grown := s.log.grown
		s.log.mu.Unlock()
		if found {
			for _, b := range f.Batches {
				s.at[b.Partition] = b.Next
			}
			s.mu.Unlock()
			return f, nil
		}
		s.mu.Unlock()
		select {
		case <-grown:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(500 * time.Millisecond):
			return f, nil
		}
	}
}

// fakePolicy is what a follower would know, told by a test.
type fakePolicy struct {
	t     testing.TB
	topic []*policy.Catalogue

	mu         sync.Mutex
	read       int  // of the topic
	unread     bool // the topic cannot be read
	book       *policy.Book
	current    *policy.Edition
	superseded chan struct{}
}

func newFakePolicy(t testing.TB, versions ...*policy.Catalogue) *fakePolicy {
	p := &fakePolicy{t: t, book: new(policy.Book), superseded: make(chan struct{})}
	p.current = p.book.Edition(time.Now())
	p.publish(versions...)
	p.follow()
	return p
}

// publish appends to the topic; nobody has read it yet.
func (p *fakePolicy) publish(versions ...*policy.Catalogue) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.topic = append(p.topic, versions...)
}

// follow reads the topic to its end, and looks at the calendar.
func (p *fakePolicy) follow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.topic[p.read:] {
		p.book, _ = p.book.With(c) // what is refused changes nothing
	}
	p.read = len(p.topic)
	if e := p.book.Edition(time.Now()); e.Mark() != p.current.Mark() {
		p.current = e
		close(p.superseded)
		p.superseded = make(chan struct{})
	}
}

func (p *fakePolicy) lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unread = true
}

func (p *fakePolicy) Current() *policy.Edition {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current
}

func (p *fakePolicy) Superseded(e *policy.Edition) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == e {
		return p.superseded
	}
	c := make(chan struct{})
	close(c)
	return c
}

// Proved implements Policy: whatever was published is read.
func (p *fakePolicy) Proved() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unread || p.read < len(p.topic) {
		return time.Time{}
	}
	return time.Now()
}

func (p *fakePolicy) CatchUp(context.Context) error {
	p.mu.Lock()
	unread := p.unread
	p.mu.Unlock()
	if unread {
		return errors.New("the topic cannot be read")
	}
	p.follow()
	return nil
}

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
