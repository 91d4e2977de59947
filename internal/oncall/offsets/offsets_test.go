package offsets_test

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/moment"
	"github.com/kelisim/kelisim/internal/oncall/offsets"
	"github.com/kelisim/kelisim/internal/testenv"
)

// stands is a cache that stands somewhere.
type stands []cache.Stand

func (s stands) Stands(context.Context) ([]cache.Stand, error) {
	if s == nil {
		return nil, cache.ErrNoLayout
	}
	return s, nil
}

// place is a topic of two partitions with ten and twenty records, and a group.
type place struct {
	broker *testenv.Broker
	admin  *stream.Admin
	topic  string
	group  offsets.Group
}

func newPlace(t *testing.T) *place {
	b := testenv.Kafka(t)
	a, err := stream.NewAdmin(stream.Config{Brokers: b.Addrs()})
	require.NoError(t, err)
	p := &place{broker: b, admin: a, topic: b.Topic(t, testenv.TopicSpec{Name: "offsets", Partitions: 2})}
	p.group = offsets.Group{Service: "marketing", Name: p.topic + "-group", Cache: stands{{Known: true, Next: 6}, {}}}
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addrs()...), kgo.MetadataMinAge(50*time.Millisecond), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	for partition, n := range []int{10, 20} {
		for i := range n {
			rec := &kgo.Record{Topic: p.topic, Partition: int32(partition), Value: []byte("x"), Timestamp: noon.Add(time.Duration(i) * time.Minute)}
			require.NoError(t, cl.ProduceSync(t.Context(), rec).FirstErr())
		}
	}
	return p
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func (p *place) commit(t *testing.T, set map[int32]int64) {
	require.NoError(t, p.admin.SetCommittedOffsets(t.Context(), p.group.Name, p.topic, set))
}

func (p *place) committed(t *testing.T) map[int32]int64 {
	found, err := p.admin.CommittedOffsets(t.Context(), p.group.Name, p.topic)
	require.NoError(t, err)
	return found
}

func (p *place) plan(t *testing.T, to string, partitions ...int32) (*offsets.Plan, error) {
	target, err := offsets.ParseTarget(to, noon.Add(15*time.Minute))
	require.NoError(t, err)
	return offsets.NewPlan(t.Context(), p.admin, p.topic, p.group, target, partitions...)
}

func TestShowSetsTheHintBesideThePositionThatCounts(t *testing.T) {
	p := newPlace(t)
	p.commit(t, map[int32]int64{1: 3})
	report, err := offsets.Show(t.Context(), p.admin, p.topic, p.group)
	require.NoError(t, err)
	at := func(n int64) *int64 { return &n }
	state := report.Rows[0].State
	require.Equal(t, []offsets.Row{
		{Service: "marketing", Group: p.group.Name, State: state, Cache: at(6), End: 10},
		{Service: "marketing", Group: p.group.Name, State: state, Partition: 1, Committed: at(3), End: 20},
	}, report.Rows)
	require.EqualValues(t, 4, report.Rows[0].Behind())
	require.EqualValues(t, -1, report.Rows[1].Behind(), "no position is no lag of 0")
	var text bytes.Buffer
	report.Text(&text)
	require.Contains(t, text.String(), "COMMITTED")

	p.group.Cache = stands(nil)
	report, err = offsets.Show(t.Context(), p.admin, p.topic, p.group)
	require.NoError(t, err, "a flushed cache is shown, not an error")
	require.Nil(t, report.Rows[0].Cache)
}

func TestOffsetsMoveToWhereverIsAskedAndBack(t *testing.T) {
	for to, want := range map[string]map[int32]int64{
		"start":                {0: 0, 1: 0},
		"end":                  {0: 10, 1: 20},
		"7":                    {0: 7, 1: 7},
		"-2":                   {0: 3, 1: 2},
		"+2":                   {0: 7, 1: 6},
		"2026-11-22T12:08:00Z": {0: 8, 1: 8},
		"-1m":                  {0: 10, 1: 14}, // the first has nothing so late
	} {
		t.Run(to, func(t *testing.T) {
			p := newPlace(t)
			before := map[int32]int64{0: 5, 1: 4}
			p.commit(t, before)
			plan, err := p.plan(t, to)
			require.NoError(t, err)
			require.Equal(t, before, p.committed(t), "a plan changes nothing")
			file := filepath.Join(t.TempDir(), "snapshot.json")
			require.NoError(t, plan.Save(file))
			require.NoError(t, plan.Apply(t.Context(), p.admin))
			require.Equal(t, want, p.committed(t))
			require.NoError(t, plan.Apply(t.Context(), p.admin), "a move that was made is no fault")

			snapshot, err := offsets.Load(file)
			require.NoError(t, err)
			require.Equal(t, plan, snapshot)
			require.NoError(t, snapshot.Back().Apply(t.Context(), p.admin))
			require.Equal(t, before, p.committed(t))
			require.Error(t, plan.Save(file), "no snapshot is written over")
		})
	}
}

func TestMoveOfADeadGroupIsUndoneToNothing(t *testing.T) {
	p := newPlace(t)
	plan, err := p.plan(t, "cache", 0)
	require.NoError(t, err)
	require.NoError(t, plan.Apply(t.Context(), p.admin))
	require.Equal(t, map[int32]int64{0: 6, 1: stream.NoOffset}, p.committed(t))
	require.NoError(t, plan.Back().Apply(t.Context(), p.admin))
	require.Equal(t, map[int32]int64{0: stream.NoOffset, 1: stream.NoOffset}, p.committed(t))
}

func TestMoveIsRefusedWhereItIsNotSafe(t *testing.T) {
	refused := func(t *testing.T, err error, text string) {
		require.ErrorContains(t, err, text)
		require.Equal(t, exit.Refused, exit.Code(err))
	}
	p := newPlace(t)
	_, err := p.plan(t, "15")
	refused(t, err, "partition 0: 15 is outside of the log, which has 0 to 10")
	_, err = p.plan(t, "cache")
	refused(t, err, "partition 1: the cache of marketing knows no position")
	_, err = p.plan(t, "-1")
	refused(t, err, "partition 0: nothing is committed to count from")
	_, err = p.plan(t, "end", 7)
	require.Equal(t, exit.Usage, exit.Code(err))

	plan, err := p.plan(t, "end")
	require.NoError(t, err)
	p.commit(t, map[int32]int64{1: 9})
	refused(t, plan.Apply(t.Context(), p.admin), "partition 1 of group "+p.group.Name+": somebody committed 9")
	require.Equal(t, map[int32]int64{0: stream.NoOffset, 1: 9}, p.committed(t), "all or nothing")

	other := *plan
	other.Cluster = "another"
	refused(t, other.Apply(t.Context(), p.admin), "the plan is for another")

	p.join(t)
	_, err = p.plan(t, "end")
	refused(t, err, "stop the service first")
	refused(t, plan.Apply(t.Context(), p.admin), "stop the service first")
	refused(t, plan.Back().Apply(t.Context(), p.admin), "stop the service first")
}

// join gives the group a member until the test ends.
func (p *place) join(t *testing.T) {
	c, err := stream.NewConsumer(stream.ConsumerConfig{
		Config: stream.Config{Brokers: p.broker.Addrs()}, Group: p.group.Name, Topic: p.topic,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- c.Run(ctx, func(ctx context.Context, _ *stream.Session) error { <-ctx.Done(); return nil })
	}()
	t.Cleanup(func() { cancel(); <-ended })
	require.Eventually(t, func() bool {
		g, err := p.admin.Group(t.Context(), p.group.Name)
		return err == nil && g.State == "Stable"
	}, 30*time.Second, 20*time.Millisecond)
}

func TestTargetsAreReadOrRefused(t *testing.T) {
	for _, text := range []string{"", "begin", "2026-11-22", "12:00", "1.5"} {
		_, err := offsets.ParseTarget(text, noon)
		require.ErrorContains(t, err, "want start, end, cache", text)
	}
	_, err := offsets.ParseTarget("2999-01-01T00:00:00Z", noon)
	require.ErrorIs(t, err, moment.ErrToCome)
	_, err = offsets.Load(filepath.Join(t.TempDir(), "none"))
	require.Error(t, err)
}
