package verify

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/window"
	"github.com/kelisim/kelisim/internal/testenv"
)

// line is a record of the log.
type line struct {
	partition int32
	offset    int64
	key       string
	time      int64
}

func (o *town) lines(t testing.TB) (all []line) {
	t.Helper()
	require.NoError(t, o.Read(t.Context(), o.Topics.Events, func(r *stream.Record) error {
		all = append(all, line{r.Partition, r.Offset, string(r.Key), r.Time})
		return nil
	}))
	return all
}

// keys are whose lines stand in a part of the log.
func keys(all []line, in func(line) bool) map[string]bool {
	out := make(map[string]bool)
	for _, l := range all {
		if in(l) {
			out[l.key] = true
		}
	}
	return out
}

// lose deletes all that a service stores, so that everybody who is looked at is found.
func (o *town) lose(t testing.TB, service string) {
	for _, s := range o.states(t, service) {
		require.NoError(t, o.client.HDel(t.Context(), s.key, s.field).Err())
	}
}

// named are who differs, each once.
func named(found []Difference) map[string]bool {
	out := make(map[string]bool)
	for _, d := range found {
		out[d.Subject.Reveal()] = true
	}
	return out
}

func offsets(partition int32, from, to int64) window.Window {
	return window.Window{Partitions: []int32{partition}, From: from, To: to}
}

func TestAWindowOfOffsetsJudgesWhoeverHasAnEventInIt(t *testing.T) {
	testenv.Parallel(t)
	o := newTown(t, 2, 300, "marketing", "targeting")
	o.live(t, 2000)
	o.settle(t)
	r, found := o.verify(t, Config{Window: offsets(0, 600, 640)})
	require.Empty(t, found, "the state comes from the whole history, and not from the window")
	inside := keys(o.lines(t), func(l line) bool { return l.partition == 0 && 600 <= l.offset && l.offset < 640 })
	require.Less(t, len(inside), 41)
	require.Len(t, r.Partitions, 1, "the other has nothing to do with it")
	p := r.Partitions[0]
	require.Equal(t, &Part{From: 600, To: 640, Records: 40, read: p.Window.read}, p.Window)
	require.EqualValues(t, 40, r.Records)
	require.EqualValues(t, len(inside), r.Subjects)
	require.Equal(t, p.To, r.Events, "the log is read once")
	for _, s := range p.Services {
		require.Empty(t, s.Log+s.Keeps, "digests are of everybody")
		require.Zero(t, s.Behind+s.Moving+s.Unjudged+s.Unapplied)
	}

	o.lose(t, "marketing")
	require.NoError(t, o.client.HSet(t.Context(), o.inspector(t, "marketing").Layout().Prefix(0)+"pos", "digest", "17").Err())
	r, found = o.verify(t, Config{Window: offsets(0, 600, 640)})
	require.Equal(t, inside, named(found), "everybody in it, and nobody else")
	require.Equal(t, map[Kind]int64{Missing: int64(len(inside))}, r.Kinds)
	require.Greater(t, len(o.states(t, "targeting")), len(inside))
	_, found = o.verify(t, Config{Window: offsets(0, 600, 640), Services: []string{"targeting"}})
	require.Empty(t, found)
}

func TestAWindowOfTimeJudgesWhoeverHasAnEventInIt(t *testing.T) {
	testenv.Parallel(t)
	o := newTown(t, 3, 400, "marketing")
	for range 30 { // lot by lot, so that they are not all of one millisecond
		o.live(t, 20)
	}
	o.settle(t)
	all := o.lines(t)
	slices.SortStableFunc(all, func(a, b line) int { return int(a.time - b.time) })
	since, until := all[len(all)/3].time, all[len(all)/2].time
	require.Less(t, since, until)
	inside := keys(all, func(l line) bool { return since <= l.time && l.time < until })
	of := window.Window{Since: time.UnixMilli(since), Until: time.UnixMilli(until)}
	_, found := o.verify(t, Config{Window: of})
	require.Empty(t, found)
	for who := range inside { // who decided too late has nothing to lose
		if !slices.ContainsFunc(o.states(t, "marketing"), func(s stored) bool { return s.field == who }) {
			delete(inside, who)
		}
	}
	o.lose(t, "marketing")
	_, found = o.verify(t, Config{Window: of})
	require.Equal(t, inside, named(found))

	of.Partitions = []int32{1}
	r, found := o.verify(t, Config{Window: of})
	require.Len(t, r.Partitions, 1)
	require.NotEmpty(t, found)
	for who := range named(found) {
		require.True(t, inside[who])
		require.EqualValues(t, 1, events.PartitionOf(who, 3))
	}
}

func TestAWindowWithMorePeopleThanAreKeptIsLookedAtInShares(t *testing.T) {
	testenv.Parallel(t)
	o := newTown(t, 1, 400, "marketing")
	o.live(t, 3000, rubbish("held-1"))
	o.settle(t)
	o.lose(t, "marketing")
	of := offsets(0, 1000, 2000)
	whole, found := o.verify(t, Config{Window: of})
	require.Equal(t, 1, whole.Partitions[0].Passes)
	require.Greater(t, len(found), 200)
	shares, again := o.verify(t, Config{Window: of, States: 60})
	require.Greater(t, shares.Partitions[0].Passes, 3)
	require.ElementsMatch(t, found, again)
	require.Equal(t, whole.Subjects, shares.Subjects)
	require.Equal(t, whole.Events, shares.Events, "events are counted once")
	require.Equal(t, whole.Records, shares.Records, "and so is what stands in the window")
	_, err := Run(t.Context(), o.Cluster, Config{Window: of, States: 5})
	require.ErrorContains(t, err, "more subjects than are kept at a time")

	orders := make([]stream.Message, 100) // keys that are nobody's are kept, too
	for i := range orders {
		orders[i] = stream.Message{Key: fmt.Appendf(nil, "/order/%d", i), Value: []byte("{}")}
	}
	o.live(t, 0, orders...)
	o.settle(t)
	shares, found = o.verify(t, Config{Window: offsets(0, o.events-100, 0), States: 60})
	require.Empty(t, found)
	require.Greater(t, shares.Partitions[0].Passes, 1)
}

// Of what holds people that is compared which stands in the window, or under the key of
// somebody who was chosen: of nothing else is read more than the key.
func TestAWindowJudgesTheHoldsOfItsEvents(t *testing.T) {
	testenv.Parallel(t)
	o := newTown(t, 4, 20, "marketing")
	const partition = 2
	of := func(name string, own bool) string { // somebody of that partition, or of another
		for i := 0; ; i++ {
			if id := fmt.Sprint(name, i); (events.PartitionOf(id, 4) == partition) == own {
				return id
			}
		}
	}
	parked, astray, inside, outside := of("parked", true), of("astray", false), of("inside", false), of("outside", true)
	stray := misplaced(astray, 4)
	stray.Partition = partition
	under := func(key, who string) stream.Message { // an event under the key of something else
		m := rubbish(who)
		m.Key, m.Value, m.Partition = []byte(key), []byte(`{"channel":"app"}`), partition
		return m
	}
	o.live(t, 0, under("order-1", outside), rubbish(parked), stray, under("order-1", inside)) // offsets 0 to 3
	o.live(t, 200)
	o.settle(t)
	_, found := o.verify(t, Config{Window: offsets(partition, 1, 4)})
	require.Empty(t, found)

	l, ctx := o.inspector(t, "marketing").Layout(), t.Context()
	held := func(who string) string { return l.Prefix(events.PartitionOf(who, 4)) + "held" }
	for _, who := range []string{parked, astray, inside, outside} {
		n, err := o.client.HDel(ctx, held(who), who).Result()
		require.NoError(t, err)
		require.EqualValues(t, 1, n, who)
	}
	r, found := o.verify(t, Config{Window: offsets(partition, 1, 4)})
	require.Equal(t, map[string]bool{parked: true, astray: true, inside: true}, named(found))
	require.Equal(t, map[Kind]int64{Unheld: 3}, r.Kinds)
	_, found = o.verify(t, Config{Window: offsets(partition, 4, 0)})
	require.Empty(t, found, "all of them stand in front of it")

	// A hold by nothing: of an offset of the window it is one by none, of another one nobody has looked.
	all := o.lines(t)
	other := all[slices.IndexFunc(all, func(l line) bool { return l.partition == partition && l.offset > 10 })]
	for want, at := range []int64{other.offset - 1, other.offset} {
		require.NoError(t, o.client.HSet(ctx, held(other.key), other.key, fmt.Sprintf("1/%d@%d", partition, at)).Err())
		r, found = o.verify(t, Config{Window: offsets(partition, other.offset, other.offset+1)})
		require.Len(t, found, want)
		require.EqualValues(t, want, r.Kinds[HeldByNone])
	}

	// So with an offset of another partition, when both are in the window.
	elsewhere := all[slices.IndexFunc(all, func(l line) bool { return l.partition != partition })]
	require.NoError(t, o.client.HSet(ctx, held(other.key), other.key, fmt.Sprintf("1/%d@%d", elsewhere.partition, elsewhere.offset)).Err())
	for w, want := range map[*window.Window]map[Kind]int64{
		{Since: time.Now().Add(-time.Hour)}:                                {Unheld: 4, HeldByNone: 1},
		{Partitions: []int32{partition}, From: other.offset, To: o.events}: {},
	} {
		r, _ = o.verify(t, Config{Window: *w})
		require.Equal(t, want, r.Kinds)
	}

	// Of somebody without an event in the window it is nobody's question.
	somebody := all[slices.IndexFunc(all, func(l line) bool { return l.partition == partition && l.offset > 10 && l.key != other.key })].key
	require.NoError(t, o.client.HDel(ctx, held(other.key), other.key).Err())
	require.NoError(t, o.client.HSet(ctx, held(somebody), somebody, fmt.Sprintf("1/%d@%d", partition, other.offset)).Err())
	_, found = o.verify(t, Config{Window: offsets(partition, other.offset, other.offset+1)})
	require.Empty(t, found)
}

func TestAWindowSaysWhatIsNotAppliedOfIt(t *testing.T) {
	testenv.Parallel(t)
	o := newTown(t, 1, 50, "marketing", "targeting")
	o.live(t, 500)
	o.settle(t)
	o.stop(t, "targeting")
	o.live(t, 100)
	o.settle(t)
	r, found := o.verify(t, Config{Window: offsets(0, 480, 520)})
	require.Empty(t, found)
	require.Zero(t, r.Partitions[0].Services[0].Unapplied)
	require.EqualValues(t, 20, r.Partitions[0].Services[1].Unapplied)
	require.Positive(t, r.Partitions[0].Services[1].Behind)

	// Where nobody has come to it, it is not called right either.
	r, found = o.verify(t, Config{Window: offsets(0, 510, 600), Services: []string{"targeting"}})
	require.Empty(t, found)
	require.EqualValues(t, 90, r.Partitions[0].Services[0].Unapplied)
	require.Positive(t, r.Partitions[0].Services[0].Behind)
}

func TestAWindowIsNoDifferenceBesideLiveTraffic(t *testing.T) {
	testenv.Parallel(t)
	o := newTown(t, 2, 50, "marketing", "targeting")
	o.live(t, 2000)
	stop := o.traffic(t)
	for range 4 {
		r, found := o.verify(t, Config{Window: window.Window{Since: time.Now().Add(-time.Hour)}})
		require.Empty(t, found)
		require.Len(t, r.Partitions, 2)
	}
	stop()
}

// Who looks at nothing finds nothing wrong: that is said, and is no success.
func TestAWindowInWhichNothingStandsIsRefused(t *testing.T) {
	testenv.Parallel(t)
	o := newTown(t, 2, 10, "marketing")
	began := time.Now()
	o.live(t, 50)
	o.settle(t)
	who, _ := events.ParseSubject("synthetic-1")
	for text, w := range map[string]window.Window{
		"nothing of the log is selected":          {Until: began.Add(-time.Hour)},
		"want one of a subject and a part of the": {Subject: who, Since: began.Add(-time.Hour)},
		"offsets are of one partition":            {From: 3},
		"has none of that number":                 {Partitions: []int32{2}},
	} {
		r, err := Run(t.Context(), o.Cluster, Config{Window: w})
		require.ErrorContains(t, err, text)
		require.Equal(t, exit.Usage, exit.Code(err))
		require.Nil(t, r)
	}
}

// What the log has lost may have been of the window, and whom that was about is not
// judged: that is a finding. The others are, by the snapshots.
func TestAWindowThatTheLogHasLostInPartIsAFinding(t *testing.T) {
	testenv.Parallel(t)
	o := newTown(t, 1, 200, "marketing")
	o.live(t, 1000)
	o.snapshots(t)
	o.forget(t, 0, 500)
	r, err := Run(t.Context(), o.Cluster, Config{Window: window.Window{Since: time.Now().Add(-time.Hour)}})
	require.ErrorIs(t, err, exit.ErrFindings)
	require.Equal(t, []int32{0}, r.Cut)
	require.Zero(t, r.Differences+r.Unjudged)
	require.EqualValues(t, 500, r.Partitions[0].Window.From)

	of := offsets(0, 900, 950)
	r, found := o.verify(t, Config{Window: of})
	require.Empty(t, found)
	require.Empty(t, r.Cut)
	require.Equal(t, FromSnapshots, r.Partitions[0].Source, r.Partitions[0].Why)
	require.Empty(t, r.Partitions[0].Services[0].Keeps, "digests are of everybody")
	inside := keys(o.lines(t), func(l line) bool { return 900 <= l.offset && l.offset < 950 })
	o.lose(t, "marketing")
	_, found = o.verify(t, Config{Window: of})
	require.Equal(t, inside, named(found))

	_, err = Run(t.Context(), o.Cluster, Config{Window: offsets(0, 100, 200)})
	require.Equal(t, exit.Refused, exit.Code(err))
	require.ErrorContains(t, err, "the log begins at 500, after 100")
	_, err = Run(t.Context(), o.Cluster, Config{Window: window.Window{Until: time.Now().Add(-time.Hour)}})
	require.Equal(t, exit.Refused, exit.Code(err))
	require.ErrorContains(t, err, "partition 0 has lost what was in front of 500")
}

// Without the beginning and without snapshots nobody can be judged by a part.
func TestAWindowOfWhatNobodyCanJudgeIsAFinding(t *testing.T) {
	testenv.Parallel(t)
	o := newTown(t, 1, 50, "marketing")
	o.live(t, 1000)
	o.settle(t)
	o.forget(t, 0, 900)
	r, err := Run(t.Context(), o.Cluster, Config{Window: offsets(0, 950, 0)})
	require.ErrorIs(t, err, exit.ErrFindings)
	require.Positive(t, r.Unjudged)
	require.Equal(t, "the state topic has no checkpoint", r.Partitions[0].Why)
	require.Empty(t, r.Kinds)
}
