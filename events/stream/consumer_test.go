package stream_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
)

// member runs a consumer until stop is called or the test ends.
type member struct {
	stop  func() error
	ended chan error // Run's error, once
}

// join starts a member of a group that calls handle.
func join(t testing.TB, b *testenv.Broker, conf stream.ConsumerConfig, handle func(context.Context, *stream.Session) error) *member {
	t.Helper()
	conf.Brokers = b.Addrs()
	if conf.MaxWait == 0 {
		conf.MaxWait = 200 * time.Millisecond
	}
	if conf.SessionTimeout == 0 {
		conf.SessionTimeout, conf.HeartbeatInterval = 3*time.Second, 100*time.Millisecond
	}
	c, err := stream.NewConsumer(conf)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, handle); close(ended) }()
	m := &member{stop: sync.OnceValue(func() error { cancel(); return <-ended }), ended: ended}
	t.Cleanup(func() { _ = m.stop() })
	return m
}

// ledger is what a group has done: the resume points that count, and every value ever handled.
type ledger struct {
	mu       sync.Mutex
	next     map[int32]int64
	values   map[int32]map[string]int
	sessions int
	assigned map[string]int // partitions by member
	fresh    time.Time      // when something last came
}

func newLedger() *ledger {
	return &ledger{next: map[int32]int64{}, values: map[int32]map[string]int{}, assigned: map[string]int{}}
}

// handle is a handler that resumes where the ledger stands and writes down what it reads.
func (l *ledger) handle(name string) func(context.Context, *stream.Session) error {
	return func(ctx context.Context, s *stream.Session) error {
		l.mu.Lock()
		l.sessions++
		l.assigned[name] = len(s.Partitions())
		from := map[int32]int64{}
		for _, p := range s.Partitions() {
			from[p] = l.next[p]
		}
		l.mu.Unlock()
		if err := s.Start(from); err != nil {
			return err
		}
		for {
			f, err := s.Poll(ctx)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			commit, err := l.note(f)
			if err != nil {
				return err
			}
			f.Release()
			if err := s.Commit(commit); err != nil {
				return err
			}
		}
	}
}

func (l *ledger) note(f *stream.Fetch) (map[int32]int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	commit := map[int32]int64{}
	for _, b := range f.Batches {
		for _, r := range b.Records {
			if r.Offset < l.next[b.Partition] {
				continue // another member was faster; the position decides, as in Redis
			}
			if r.Offset > l.next[b.Partition] {
				return nil, fmt.Errorf("gap in %d: %d after %d", b.Partition, r.Offset, l.next[b.Partition])
			}
			if l.values[b.Partition] == nil {
				l.values[b.Partition] = map[string]int{}
			}
			l.values[b.Partition][string(r.Value)]++
			l.next[b.Partition] = r.Offset + 1
		}
		l.next[b.Partition] = max(l.next[b.Partition], b.Next)
		commit[b.Partition] = b.Next
	}
	l.fresh = time.Now()
	return commit, nil
}

// count is how many values were handled, each once.
func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, values := range l.values {
		n += len(values)
	}
	return n
}

func (l *ledger) await(t testing.TB, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return l.count() >= n }, patience, 5*time.Millisecond, "want %d", n)
	require.Equal(t, n, l.count())
}

func (l *ledger) awaitAssigned(t testing.TB, want map[string]int) {
	t.Helper()
	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for name, n := range want {
			if l.assigned[name] != n {
				return false
			}
		}
		return true
	}, patience, 5*time.Millisecond)
}

func TestGroupOfThreeLosesNothingWhileMembersComeAndGo(t *testing.T) {
	testenv.Parallel(t)
	const partitions, rounds, perRound = 6, 8, 50
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "group", Partitions: partitions})
	cl := writer(t, b)
	l := newLedger()
	conf := stream.ConsumerConfig{Group: topic, Topic: topic, CommitInterval: 200 * time.Millisecond}
	members := map[string]*member{}
	for round := range rounds {
		switch round {
		case 0, 1, 2:
			name := fmt.Sprint("m", round)
			members[name] = join(t, b, conf, l.handle(name))
			l.awaitAssigned(t, map[string]int{name: partitions / (round + 1)})
		case 4:
			require.NoError(t, members["m0"].stop())
		case 6:
			require.NoError(t, members["m1"].stop())
		}
		write(t, cl, topic, partitions, round*perRound, (round+1)*perRound)
	}
	l.await(t, partitions*rounds*perRound)
	require.NoError(t, members["m2"].stop())
	offsets, err := b.Admin(t).FetchOffsets(t.Context(), topic)
	require.NoError(t, err)
	for p := range int32(partitions) {
		at, ok := offsets.Lookup(topic, p)
		require.True(t, ok)
		require.Equal(t, int64(rounds*perRound), at.At, "committed at the end of the last session")
	}
}

func TestStoppedMemberHandsOverAtOnce(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "handover", Partitions: 2})
	l := newLedger()
	conf := stream.ConsumerConfig{Group: topic, Topic: topic}
	first := join(t, b, conf, l.handle("first"))
	l.awaitAssigned(t, map[string]int{"first": 2})
	join(t, b, conf, l.handle("second"))
	l.awaitAssigned(t, map[string]int{"first": 1, "second": 1})
	began := time.Now()
	require.NoError(t, first.stop())
	l.awaitAssigned(t, map[string]int{"second": 2})
	require.Less(t, time.Since(began), 2*time.Second, "the group was left, not timed out (3 s)")
}

func TestSessionReadsFromWhereItIsToldAndKnowsTheGroupsOffset(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "resume", Partitions: 2})
	write(t, writer(t, b), topic, 2, 0, 10)
	conf := stream.ConsumerConfig{Group: topic, Topic: topic}
	l := newLedger()
	l.next[0], l.next[1] = 4, 7
	first := join(t, b, conf, l.handle("first"))
	l.await(t, 6+3)
	require.NoError(t, first.stop())

	hints := make(chan map[int32]int64, 1)
	join(t, b, conf, func(ctx context.Context, s *stream.Session) error {
		found := map[int32]int64{}
		for _, p := range s.Partitions() {
			if offset, ok := s.Committed(p); ok {
				found[p] = offset
			}
		}
		hints <- found
		<-ctx.Done()
		return nil
	})
	require.Equal(t, map[int32]int64{0: 10, 1: 10}, <-hints)
}

func TestSessionRefusesWhatIsNotItsOwn(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "refuse"})
	write(t, writer(t, b), topic, 1, 0, 10)
	done := errors.New("done")
	checked := make(chan error, 1)
	m := join(t, b, stream.ConsumerConfig{Group: topic, Topic: topic}, func(ctx context.Context, s *stream.Session) error {
		checked <- func() error {
			switch {
			case s.Start(map[int32]int64{1: 0}) == nil:
				return errors.New("started a partition of others")
			case s.Start(map[int32]int64{0: -7}) == nil:
				return errors.New("started at an offset that cannot be")
			case s.Seek(0, 0) == nil:
				return errors.New("moved what was not started")
			case s.Commit(map[int32]int64{0: 0}) == nil:
				return errors.New("committed what was not started")
			case s.Start(map[int32]int64{0: 3}) != nil:
				return errors.New("did not start")
			case s.Start(map[int32]int64{0: 3}) == nil:
				return errors.New("started twice")
			case s.Commit(map[int32]int64{0: 4}) == nil:
				return errors.New("committed what was not read")
			}
			return nil
		}()
		return done
	})
	require.NoError(t, <-checked)
	require.ErrorIs(t, m.stop(), done, "the error of a handler that gives up ends Run")
}

func TestHandlerThatReturnsEarlyIsNotCalledAgain(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "early"})
	conf := stream.ConsumerConfig{Group: topic, Topic: topic}
	conf.Brokers = b.Addrs()
	c, err := stream.NewConsumer(conf)
	require.NoError(t, err)
	calls := 0
	err = c.Run(t.Context(), func(context.Context, *stream.Session) error { calls++; return nil })
	require.ErrorIs(t, err, stream.ErrHandlerReturned)
	require.Equal(t, 1, calls)
}

func TestConsumerWaitsForItsTopic(t *testing.T) {
	testenv.Parallel(t)
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "later"}) + "-not-yet"
	l := newLedger()
	join(t, b, stream.ConsumerConfig{Group: topic, Topic: topic}, l.handle("m"))
	_, err := b.Admin(t).CreateTopic(t.Context(), 1, 1, nil, topic)
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = b.Admin(t).DeleteTopics(context.Background(), topic) })
	write(t, writer(t, b), topic, 1, 0, 5)
	l.await(t, 5)
}

func TestGroupReadsThroughTLSAndSASL(t *testing.T) {
	b := testenv.Kafka(t, testenv.WithTLS(), testenv.WithUsers(accounts...))
	topic := b.Topic(t, testenv.TopicSpec{Name: "secure", Partitions: 2})
	cl := writer(t, b, kgo.DialTLSConfig(b.TLS()), kgo.SASL(plain.Auth{User: accounts[0].Name, Pass: accounts[0].Password}.AsMechanism()))
	write(t, cl, topic, 2, 0, 10)
	for _, account := range accounts {
		conf := stream.ConsumerConfig{Group: topic + account.Name, Topic: topic}
		conf.TLS = stream.TLSConfig{Enabled: true, CAFile: caFile(t, b)}
		conf.SASL = stream.SASLConfig{Mechanism: account.Mechanism, Username: account.Name, Password: account.Password}
		l := newLedger()
		join(t, b, conf, l.handle("m"))
		l.await(t, 20)

		conf.SASL.Password = "wrong"
		m := join(t, b, conf, l.handle("m"))
		require.ErrorIs(t, <-m.ended, stream.ErrAuthentication)
	}
}
