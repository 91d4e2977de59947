package replay_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kelisim/kelisim/consumers/snapshots"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/snapshot"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/basis"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/replay"
	"github.com/kelisim/kelisim/internal/oncall/window"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testservice"
)

// snapshots starts who writes snapshots, waits until they are all there, and lets
// the bench know of them.
func (s *scene) snapshots() {
	t := s.t
	s.bench.State = s.broker.Topic(t, testenv.TopicSpec{Name: "state", Partitions: partitions, Config: testenv.CompactedConfig()})
	fencer, err := stream.NewFencer(stream.ProducerConfig{Config: stream.Config{Brokers: []string{s.broker.Addr()}}})
	require.NoError(t, err)
	t.Cleanup(fencer.Close)
	action, err := snapshots.New(snapshots.Config{Topic: s.bench.State, Generation: 1, Redis: s.client, Fencer: fencer})
	require.NoError(t, err)
	s.services[snapshots.Name] = testservice.Start(t, testservice.Config{
		Service: snapshots.Service(action), Kafka: s.broker.Addr(), Redis: s.client, Topics: s.topics, Buckets: 16,
	})
	s.settle()
	all, err := cache.Services(t.Context(), s.client)
	require.NoError(t, err)
	for _, l := range all {
		s.bench.Witnesses = append(s.bench.Witnesses, cache.NewInspector(s.client, l))
	}
	require.Eventually(t, func() bool {
		ready := true
		for p, m := range s.services[snapshots.Name].Marks() {
			r, err := s.bench.Log.Reader(s.bench.State)
			require.NoError(t, err)
			b, why, err := basis.Read(t.Context(), r, int32(p), 1, func(events.Subject, events.State) error { return nil })
			r.Close()
			require.NoError(t, err)
			ready = ready && why == "" && b.From == m.Next
		}
		return ready
	}, time.Minute, 50*time.Millisecond)
}

// forget takes the beginning of the log away, as retention does, but for the last
// few records of each partition.
func (s *scene) forget(keep int64) {
	ends, err := s.bench.Log.Offsets(s.t.Context(), s.topics.Events)
	require.NoError(s.t, err)
	at := make(kadm.Offsets)
	for p, o := range ends {
		at.Add(kadm.Offset{Topic: s.topics.Events, Partition: p, At: o.End - keep})
	}
	_, err = s.broker.Admin(s.t).DeleteRecords(s.t.Context(), at)
	require.NoError(s.t, err)
}

// After ten years that is every log.
func TestLogThatLostItsBeginningIsReplayedFromTheSnapshots(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t, 120, 1500)
	s.snapshots()
	s.forget(20)
	lost, spoiled := s.people[0], s.people[1]
	s.decide(lost, events.AgreementEnded) // they are in what is left of the log, and their lives are not
	s.decide(spoiled, events.AgreementEnded)
	s.settle()
	healthy := s.states()
	require.Empty(t, s.plan(replay.Selection{}, replay.Wish{}).Mends)
	s.damage("marketing", lost, "")
	s.damage("marketing", spoiled, s.twin(spoiled))
	s.damage("targeting", spoiled, "rubbish")
	stop := s.load()
	p := s.plan(replay.Selection{}, replay.Wish{})
	require.Len(t, p.Mends, 3)
	for _, r := range p.Ranges {
		require.Positive(t, r.LogBegins)
		require.GreaterOrEqual(t, r.Snapshots, r.LogBegins)
	}
	report, err := s.apply(p, two)
	require.NoError(t, err)
	require.Equal(t, 3, report.Total().Mended)
	require.Equal(t, 3, report.Right)
	stop()
	s.settle()
	after := s.states()
	for key, fields := range healthy {
		for field, state := range fields {
			require.Equal(t, state, after[key][field], "who was not touched by the load is as before")
		}
	}
	s.digestsAreRight()
	require.Empty(t, s.plan(replay.Selection{Window: window.Window{Subject: lost}}, replay.Wish{}).Mends)
}

// A state that is newer than where a service stands says nothing of where it ought to be.
func TestServiceBehindTheSnapshotsIsNotJudgedByThem(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t, 60, 600)
	s.stop("targeting")
	who := s.people[0]
	s.decide(who, events.Withdrawn, "promotion")
	s.settle()
	s.snapshots()
	s.forget(1)
	s.damage("targeting", who, "")
	p := s.plan(replay.Selection{Window: window.Window{Subject: who}}, replay.Wish{})
	require.Empty(t, p.Mends)
	for i := range p.Services {
		require.Equal(t, map[string]int{"marketing": 0, "targeting": 1}[p.Services[i].Service], p.Services[i].Unjudged())
	}
	s.start("targeting")
	s.settle()
	p = s.plan(replay.Selection{Window: window.Window{Subject: who}}, replay.Wish{})
	require.LessOrEqual(t, len(p.Mends), 1)
	for i := range p.Services {
		require.Zero(t, p.Services[i].Unjudged())
	}
}

func TestReplayIsRefusedWhereNeitherLogNorSnapshotsHaveTheHistory(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t, 60, 600)
	refused := func(text string) {
		t.Helper()
		_, err := s.bench.NewPlan(t.Context(), replay.Selection{}, replay.Wish{})
		require.ErrorContains(t, err, text)
		require.Equal(t, exit.Refused, exit.Code(err))
	}
	s.snapshots()
	s.forget(20)
	state, witnesses := s.bench.State, s.bench.Witnesses
	s.bench.State, s.bench.Witnesses = "", nil
	refused("no topic of snapshots is named")
	s.bench.State = state
	for _, w := range witnesses {
		if w.Layout().Service == snapshots.Name { // its own word is not enough
			s.bench.Witnesses = append(s.bench.Witnesses, w)
		}
	}
	refused("no service stands behind the snapshots to bear them out")
	ends, err := s.bench.Log.Offsets(t.Context(), s.topics.Events)
	require.NoError(t, err)
	c := snapshot.Checkpoint{Generation: 1, Acted: ends[0].First - 1, Next: ends[0].First - 1}
	m := c.Message()
	m.Topic = s.bench.State
	s.stop(snapshots.Name)
	_, err = s.producer.Publish(t.Context(), m)
	require.NoError(t, err)
	refused("the snapshots reach to ")
	c.Generation = 2
	m = c.Message()
	m.Topic = s.bench.State
	_, err = s.producer.Publish(t.Context(), m)
	require.NoError(t, err)
	refused("the snapshots are of generation 2")
}

// Who began with half a log has what snapshots of that half have, and the digest of
// half a batch is of no position.
func TestCacheOfWhatIsLeftOfALogBearsNoSnapshotsOut(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t, 60, 600)
	s.snapshots()
	s.forget(20)
	for _, name := range services { // who runs would claim anew what is changed here
		s.stop(name)
	}
	require.True(t, s.plan(replay.Selection{}, replay.Wish{}).Empty())
	s.bench.Patience = 500 * time.Millisecond // nobody comes by
	marked := func(field, value string) {
		for _, name := range services {
			l := s.bench.Caches[name].Layout()
			for p := range l.Partitions {
				require.NoError(t, s.client.HSet(t.Context(), l.Prefix(p)+"pos", field, value).Err())
			}
		}
	}
	refused := func() {
		t.Helper()
		_, err := s.bench.NewPlan(t.Context(), replay.Selection{}, replay.Wish{})
		require.ErrorContains(t, err, "no service stands behind the snapshots to bear them out")
		require.Equal(t, exit.Refused, exit.Code(err))
	}
	marked("torso", "1")
	refused()
	marked("torso", "")
	marked("chunk", "1+")
	refused()
}
