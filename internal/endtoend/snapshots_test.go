package endtoend

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/snapshots"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/snapshot"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testservice"
)

// stateTopic creates a state topic that the log cleaner works on.
func stateTopic(t testing.TB, broker *testenv.Broker, partitions int) string {
	return broker.Topic(t, testenv.TopicSpec{Name: "state", Partitions: partitions, Config: testenv.CompactedConfig()})
}

// writer is one process that writes snapshots.
type writer struct {
	*testservice.Service
	action *snapshots.Action
	fencer *stream.Fencer
}

func startWriter(t testing.TB, broker *testenv.Broker, client redis.UniversalClient, topics testservice.Topics, state string) *writer {
	return startWriterWith(t, stream.ProducerConfig{Config: stream.Config{Brokers: broker.Addrs()}}, broker, client, topics, state, 64)
}

func startWriterWith(t testing.TB, cfg stream.ProducerConfig, broker *testenv.Broker, client redis.UniversalClient, topics testservice.Topics, state string, buckets int32) *writer {
	w := &writer{}
	var err error
	w.fencer, err = stream.NewFencer(cfg)
	require.NoError(t, err)
	w.action, err = snapshots.New(snapshots.Config{Topic: state, Generation: 1, Redis: client, Fencer: w.fencer})
	require.NoError(t, err)
	w.Service = testservice.Start(t, testservice.Config{
		Service: snapshots.Service(w.action), Kafka: broker.Addr(), Redis: client, Topics: topics, Buckets: buckets,
	})
	return w
}

func (w *writer) stop(t testing.TB) {
	w.Stop(t)
	require.NoError(t, w.action.Close(context.Background()))
	w.fencer.Close()
}

// readState reads the state topic to its end: the states, and the last checkpoint
// of each partition.
func readState(t testing.TB, broker *testenv.Broker, topic string, partitions int32) (map[events.Subject]events.State, map[int32]*snapshot.Checkpoint) {
	r, err := stream.NewReader(stream.ReaderConfig{Config: stream.Config{Brokers: broker.Addrs()}, Topic: topic})
	require.NoError(t, err)
	defer r.Close()
	all := make([]int32, partitions)
	for p := range all {
		all[p] = int32(p)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	states, checkpoints := make(map[events.Subject]events.State), make(map[int32]*snapshot.Checkpoint)
	require.NoError(t, snapshot.ReadAll(ctx, r, all, func(p int32, e snapshot.Entry) error {
		switch {
		case e.Checkpoint != nil:
			checkpoints[p] = e.Checkpoint
		case !e.Subject.IsZero():
			states[e.Subject] = e.State
		}
		return nil
	}))
	return states, checkpoints
}

// Partitions move from one process to the other under live traffic, again and
// again. What the topic holds in the end is what the log gives, and at every
// moment what it holds and the events from its checkpoints on are.
func TestStateTopicEqualsTheLogThoughPartitionsMove(t *testing.T) {
	testenv.Parallel(t)
	const partitions = 4
	broker, server := testenv.Kafka(t), testenv.Redis(t)
	topics := testservice.NewTopics(t, broker, partitions)
	state := stateTopic(t, broker, partitions)
	producer, err := stream.NewProducer(stream.ProducerConfig{Config: stream.Config{Brokers: []string{broker.Addr()}}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = producer.Close(context.Background()) })
	publishSynthetic(t, producer, topics.Events, 21, 300, 2000)

	load := startLoad(t, producer, topics.Events)
	writers := []*writer{startWriter(t, broker, server.Client(t), topics, state), startWriter(t, broker, server.Client(t), topics, state)}
	rnd := rand.New(rand.NewPCG(3, 3))
	for move := range 5 {
		one := rnd.IntN(2)
		pause(t, time.Duration(300+rnd.IntN(700))*time.Millisecond)
		writers[one].stop(t)
		checkComplete(t, broker, topics, state, fmt.Sprint("after move ", move))
		writers[one] = startWriter(t, broker, server.Client(t), topics, state)
	}
	n := 2000 + load.stop()
	publishSynthetic(t, producer, topics.Events, 22, 40, 400)
	n += 400
	writers[0].Wait(t, int64(n))
	require.Eventually(t, func() bool { // the last checkpoints follow by themselves
		_, checkpoints := readState(t, broker, state, partitions)
		var acted int64
		whole := true
		for _, c := range checkpoints {
			acted, whole = acted+c.Acted, whole && c.Digest != ""
		}
		return whole && acted == int64(n)
	}, 20*time.Second, 100*time.Millisecond)
	for _, w := range writers {
		w.stop(t)
	}
	want := foldLog(t, broker.Addr(), topics.Events, partitions)
	got, _ := readState(t, broker, state, partitions)
	requireSame(t, want.states, got, "in the end")
}

// kept drops subjects of whom no event changed anything.
func kept(states map[events.Subject]events.State) map[events.Subject]events.State {
	out := make(map[events.Subject]events.State, len(states))
	for s, state := range states {
		if !state.IsZero() {
			out[s] = state
		}
	}
	return out
}

// checkComplete holds the topic, as it is now, against the log: its states and the
// events from its checkpoints on must give what the whole log gives.
func checkComplete(t testing.TB, broker *testenv.Broker, topics testservice.Topics, state, when string) {
	states, checkpoints := readState(t, broker, state, topics.Partitions)
	from := make(map[int32]int64)
	for p := range topics.Partitions {
		from[p] = 0
		if c := checkpoints[p]; c != nil {
			from[p] = c.Acted
		}
	}
	want := foldLog(t, broker.Addr(), topics.Events, topics.Partitions)
	got := foldOn(t, broker.Addr(), topics.Events, states, from, want)
	requireSame(t, want.states, got, when)
}

// requireSame compares states without printing thousands of them.
func requireSame(t testing.TB, want, got map[events.Subject]events.State, when string) {
	want, got = kept(want), kept(got)
	var faults []string
	for s, state := range want {
		if got[s] != state {
			is, _ := got[s].Version()
			should, _ := state.Version()
			faults = append(faults, fmt.Sprintf("%s is %v, should be %v", s.Reveal(), is, should))
		}
	}
	for s := range got {
		if want[s].IsZero() {
			faults = append(faults, s.Reveal()+" should not be there")
		}
	}
	require.Empty(t, faults[:min(len(faults), 20)], "%s: %d of %d", when, len(faults), len(want))
}

// foldOn folds the log from offsets on, over states, up to where want was folded.
func foldOn(t testing.TB, kafka, topic string, states map[events.Subject]events.State, from map[int32]int64, want *told) map[events.Subject]events.State {
	r, err := stream.NewReader(stream.ReaderConfig{Config: stream.Config{Brokers: []string{kafka}}, Topic: topic})
	require.NoError(t, err)
	defer r.Close()
	ranges := make(map[int32]stream.Range)
	for p, first := range from {
		ranges[p] = stream.Range{From: first, To: want.ends[p]}
	}
	out := &told{states: states, lives: make(map[events.Subject][]change), parked: make(map[events.Subject]bool), ends: make(map[int32]int64)}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(t, r.Read(ctx, ranges, func(b *stream.Batch) error {
		for j := range b.Records {
			out.foldNext(t, &b.Records[j])
		}
		return nil
	}))
	return out.states
}

// pause lets traffic go on for a while: how long decides what the test meets, not
// whether it passes.
func pause(t testing.TB, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}
