package verify

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/snapshot"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/schemas"
)

// rubbish is a withdrawal that nobody can read: it holds whom its key names.
func rubbish(who string) stream.Message {
	s, _ := events.ParseSubject(who)
	m, err := cloudevent.Encoder{Rules: events.SeedRules(), Data: schemas.Data}.Encode(&events.Event{
		ID: "rubbish-" + who, Source: "/test", Type: events.Withdrawn, Subject: s, Purposes: 2, Decided: 1_700_000_000_000, Data: []byte(`{"channel":"app"}`),
	})
	if err != nil {
		panic(err)
	}
	m.Value = []byte("no JSON")
	return m
}

// misplaced is a withdrawal in another partition than its subject's: it holds, too.
func misplaced(who string, partitions int32) stream.Message {
	m := rubbish(who)
	m.Value, m.Partition = []byte("{}"), (events.PartitionOf(who, partitions)+1)%partitions
	return m
}

func TestCachesThatFollowedTheLogAreEqualToIt(t *testing.T) {
	o := newTown(t, 3, 300, "marketing", "targeting")
	o.live(t, 3000, rubbish("synthetic-1"), rubbish("nobody-knows-me"))
	o.settle(t)
	r, found := o.verify(t, Config{Raw: true})
	require.Empty(t, found)
	require.Equal(t, o.events, r.Events)
	require.Positive(t, r.Rate)
	require.Positive(t, r.RawRate)
	require.Len(t, r.Partitions, 3)
	var subjects int64
	for _, p := range r.Partitions {
		subjects += p.Subjects
		for _, s := range p.Services {
			require.NotEqual(t, "000000000000", s.Log)
			require.Equal(t, s.Log, s.Keeps, "partition %d of %s", p.Partition, s.Service)
			require.Equal(t, p.To, s.Next)
			require.Zero(t, s.Behind+s.Moving+s.Unjudged)
		}
	}
	require.Len(t, o.states(t, "marketing"), int(subjects))
}

// Whatever order the two reads have: what moves under them is no difference.
func TestLiveTrafficIsNoDifference(t *testing.T) {
	o := newTown(t, 2, 50, "marketing", "targeting")
	o.live(t, 2000)
	var done atomic.Bool
	var g errgroup.Group
	g.Go(func() error {
		for n := 0; n < 500 && !done.Load(); n++ { // bounded: each look folds all of it again
			o.live(t, 20)
		}
		return nil
	})
	for range 4 {
		r, found := o.verify(t, Config{})
		require.Empty(t, found)
		for _, p := range r.Partitions {
			for _, s := range p.Services {
				require.Equal(t, s.Log, s.Keeps, "the digest is compared at the exact position, traffic or not")
			}
		}
	}
	done.Store(true)
	require.NoError(t, g.Wait())
	o.settle(t)
	_, found := o.verify(t, Config{})
	require.Empty(t, found)
}

func TestEveryDamageIsNamedByItsKind(t *testing.T) {
	o := newTown(t, 2, 100, "marketing", "targeting")
	o.live(t, 500)
	o.settle(t)
	before := make(map[string]string)
	for _, s := range o.states(t, "marketing") {
		before[s.field] = s.state
	}
	o.live(t, 1500, rubbish("held-1"))
	o.settle(t)
	all := o.states(t, "marketing")
	changed := slices.IndexFunc(all, func(s stored) bool { return before[s.field] != "" && before[s.field] != s.state })
	require.GreaterOrEqual(t, changed, 0)
	older, victims := all[changed], slices.Delete(slices.Clone(all), changed, changed+1)
	held, _ := events.ParseSubject("held-1")
	c := o.inspector(t, "marketing")
	heldKey := c.Layout().Prefix(c.Layout().PartitionOf(held)) + "held"
	ctx, other := t.Context(), victims[1]

	want := map[Kind]int64{Missing: 1, Altered: 2, Older: 1, Newer: 1, Extra: 2, Unheld: 1, HeldByNone: 2}
	for what, err := range map[string]error{
		"missing":                            o.client.HDel(ctx, victims[0].key, victims[0].field).Err(),
		"altered, of somebody else":          o.client.HSet(ctx, other.key, other.field, withVersionOf(victims[2].state, other.state)).Err(),
		"altered, no state":                  o.client.HSet(ctx, victims[3].key, victims[3].field, "no state").Err(),
		"older":                              o.client.HSet(ctx, older.key, older.field, before[older.field]).Err(),
		"newer":                              o.client.HSet(ctx, victims[4].key, victims[4].field, withOffset(victims[4].state, 1<<30)).Err(),
		"extra, no subject":                  o.client.HSet(ctx, victims[5].key, "+7 701", "x").Err(),
		"extra, in another bucket":           o.client.HSet(ctx, c.Layout().Prefix(0)+"s:0", strayField(t, o), victims[5].state).Err(),
		"unheld":                             o.client.HDel(ctx, heldKey, held.Reveal()).Err(),
		"held by none, of another partition": o.client.HSet(ctx, heldKey, held.Reveal()+"-3", "1/"+strconv.Itoa(1-int(c.Layout().PartitionOf(held)))+"@1").Err(),
		"held by none":                       o.client.HSet(ctx, heldKey, held.Reveal()+"-2", "1/"+strconv.Itoa(int(c.Layout().PartitionOf(held)))+"@1").Err(),
	} {
		require.NoError(t, err, what)
	}
	r, found := o.verify(t, Config{})
	got := maps.Clone(r.Kinds)
	require.Equal(t, want, got, "%v", found)
	for _, d := range found {
		require.Equal(t, "marketing", d.Service)
	}
	_, found = o.verify(t, Config{Services: []string{"targeting"}})
	require.Empty(t, found)
}

// withVersionOf puts the version of one state in front of another.
func withVersionOf(state, version string) string { return version[:6] + state[6:] }

// withOffset gives a state another version.
func withOffset(state string, offset uint32) string {
	return string([]byte{0, 0, byte(offset >> 24), byte(offset >> 16), byte(offset >> 8), byte(offset)}) + state[6:]
}

// strayField is a subject of partition 0 that does not belong into bucket 0.
func strayField(t *testing.T, o *town) string {
	l := o.inspector(t, "marketing").Layout()
	for i := range 1000 {
		s, _ := events.ParseSubject("stray-" + string(rune('a'+i%26)) + string(rune('a'+i/26)))
		if l.PartitionOf(s) == 0 && l.BucketOf(s) != 0 {
			return s.Reveal()
		}
	}
	t.Fatal("nobody")
	return ""
}

func TestADigestThatIsKeptWrongIsFound(t *testing.T) {
	o := newTown(t, 1, 10, "marketing")
	o.live(t, 50)
	o.settle(t)
	require.NoError(t, o.client.HSet(t.Context(), o.inspector(t, "marketing").Layout().Prefix(0)+"pos", "digest", "17").Err())
	_, found := o.verify(t, Config{})
	require.Len(t, found, 1)
	require.Equal(t, NotKept, found[0].Kind)
	require.Equal(t, "000000000011", found[0].Stored)
}

func TestALostPositionIsFound(t *testing.T) {
	o := newTown(t, 2, 10, "marketing")
	o.live(t, 50)
	o.settle(t)
	o.stop(t, "marketing")
	l := o.inspector(t, "marketing").Layout()
	require.NoError(t, o.client.HDel(t.Context(), l.Prefix(0)+"pos", "next").Err())
	require.NoError(t, o.client.HSet(t.Context(), l.Prefix(1)+"pos", "next", "1000000").Err())
	r, _ := o.verify(t, Config{})
	require.EqualValues(t, 1, r.Kinds[NoPosition])
	require.EqualValues(t, 1, r.Kinds[Beyond])
	require.Len(t, r.Kinds, 2)
}

// Brokers of one place and the Redis of another: nothing that is compared would mean
// anything.
func TestTheCacheOfAnotherLogIsRefused(t *testing.T) {
	o := newTown(t, 2, 10, "marketing")
	o.live(t, 10)
	o.settle(t)
	admin, err := o.Admin()
	require.NoError(t, err)
	kafka, err := admin.Cluster(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, kafka.ID)
	require.NoError(t, o.client.Set(t.Context(), "consent:{marketing}:kafka", kafka.ID, 0).Err())
	_, found := o.verify(t, Config{})
	require.Empty(t, found)
	require.NoError(t, o.client.Set(t.Context(), "consent:{marketing}:kafka", "elsewhere", 0).Err())
	_, err = Run(t.Context(), o.Cluster, Config{})
	require.Equal(t, exit.Refused, exit.Code(err))
	require.ErrorContains(t, err, "it was folded from the Kafka cluster elsewhere")
}

func TestAServiceThatIsBehindIsNotWrong(t *testing.T) {
	o := newTown(t, 2, 50, "marketing", "targeting")
	o.live(t, 500)
	o.settle(t)
	o.stop(t, "targeting")
	o.live(t, 500)
	o.settle(t)
	r, found := o.verify(t, Config{})
	require.Empty(t, found)
	for _, p := range r.Partitions {
		require.Zero(t, p.Services[0].Behind)
		require.Positive(t, p.Services[1].Behind)
		require.Less(t, p.Services[1].Next, p.To)
		require.Equal(t, p.Services[1].Log, p.Services[1].Keeps, "at its own position it is right")
	}
	// What it has applied is judged all the same.
	for _, s := range o.states(t, "targeting") {
		require.NoError(t, o.client.HDel(t.Context(), s.key, s.field).Err())
	}
	r, _ = o.verify(t, Config{})
	require.Positive(t, r.Kinds[Missing])
}

// A partition with more people than may be kept is read once for each share.
func TestMemoryIsBoundedByTheLimit(t *testing.T) {
	o := newTown(t, 1, 400, "marketing")
	o.live(t, 3000, rubbish("held-1"))
	o.settle(t)
	all := o.states(t, "marketing")
	require.NoError(t, o.client.HDel(t.Context(), all[0].key, all[0].field).Err())
	require.NoError(t, o.client.HDel(t.Context(), all[len(all)-1].key, all[len(all)-1].field).Err())
	whole, found := o.verify(t, Config{})
	require.Equal(t, 1, whole.Partitions[0].Passes)
	require.Len(t, found, 2)
	shares, again := o.verify(t, Config{States: 60})
	require.Greater(t, shares.Partitions[0].Passes, 4)
	require.ElementsMatch(t, found, again)
	require.Equal(t, whole.Subjects, shares.Subjects)
	require.Equal(t, whole.Partitions[0].Services[0].Log, shares.Partitions[0].Services[0].Log)
	require.Equal(t, whole.Events, shares.Events, "events are counted once")
	_, err := Run(t.Context(), o.Cluster, Config{States: 5})
	require.ErrorContains(t, err, "more subjects than are kept at a time")
}

func TestOnePersonIsComparedAlone(t *testing.T) {
	o := newTown(t, 2, 20, "marketing", "targeting")
	o.live(t, 400)
	o.settle(t)
	victim := o.states(t, "targeting")[0]
	require.NoError(t, o.client.HDel(t.Context(), victim.key, victim.field).Err())
	who, err := events.ParseSubject(victim.field)
	require.NoError(t, err)
	r, found := o.verify(t, Config{Subject: who})
	require.Len(t, found, 1)
	require.Equal(t, Missing, found[0].Kind)
	require.EqualValues(t, 1, r.Subjects)
	require.Len(t, r.Partitions, 1)
	other, err := events.ParseSubject(o.states(t, "targeting")[0].field)
	require.NoError(t, err)
	_, found = o.verify(t, Config{Subject: other})
	require.Empty(t, found)
}

// Of people whose first events are no longer in the log nothing can be said; those
// who are missing are missing all the same.
func TestWhatTheLogNoLongerHasIsNotJudged(t *testing.T) {
	o := newTown(t, 1, 50, "marketing")
	o.live(t, 1000)
	o.settle(t)
	o.forget(t, 0, 500)
	r, found := o.verify(t, Config{})
	require.Empty(t, found)
	require.Positive(t, r.Partitions[0].Services[0].Unjudged)
	require.EqualValues(t, 500, r.Partitions[0].From)
	require.Equal(t, "the state topic has no checkpoint", r.Partitions[0].Why)
	for _, s := range o.states(t, "marketing") {
		if withVersion(s.state) >= 900 {
			require.NoError(t, o.client.HDel(t.Context(), s.key, s.field).Err())
			break
		}
	}
	_, found = o.verify(t, Config{})
	require.Len(t, found, 2)
	require.Equal(t, NotStored, found[1].Kind, "and what is stored is not what its digest says")
	require.Equal(t, Missing, found[0].Kind)
}

func withVersion(state string) int64 {
	s, _ := events.ParseState([]byte(state))
	at, _ := s.Version()
	return at.Offset
}

// An event in a wrong partition holds whom it names, in that one's own partition.
func TestHoldsOfEventsInWrongPartitionsAreCompared(t *testing.T) {
	o := newTown(t, 4, 10, "marketing")
	o.live(t, 20)
	s, _ := events.ParseSubject("misplaced")
	o.live(t, 0, misplaced("misplaced", 4))
	o.settle(t)
	_, found := o.verify(t, Config{})
	require.Empty(t, found)
	l := o.inspector(t, "marketing").Layout()
	require.NoError(t, o.client.HDel(t.Context(), l.Prefix(l.PartitionOf(s))+"held", "misplaced").Err())
	_, found = o.verify(t, Config{})
	require.Len(t, found, 1)
	require.Equal(t, Unheld, found[0].Kind)
}

// Snapshots say of people whose first events are no longer in the log what these
// came to, and who is held by what.
func TestWhatTheLogNoLongerHasIsJudgedBySnapshots(t *testing.T) {
	o := newTown(t, 2, 200, "marketing", "targeting")
	o.live(t, 2000, rubbish("held-1"), misplaced("held-2", 2))
	o.snapshots(t)
	o.live(t, 100)
	o.settle(t)
	for p := range int32(2) {
		o.forget(t, p, 700)
	}
	r, found := o.verify(t, Config{})
	require.Empty(t, found)
	for _, p := range r.Partitions {
		require.Equal(t, FromSnapshots, p.Source, p.Why)
		require.GreaterOrEqual(t, p.From, int64(700))
		for _, s := range p.Services {
			require.Zero(t, s.Unjudged+s.Behind+s.Moving)
			require.Equal(t, s.Log, s.Keeps)
			require.NotEmpty(t, s.Log)
		}
	}
	l, ctx := o.inspector(t, "marketing").Layout(), t.Context()
	var old []stored
	for _, s := range o.states(t, "marketing") {
		if withVersion(s.state) < 700 {
			old = append(old, s)
		}
	}
	require.Greater(t, len(old), 2, "people of whom the log has nothing")
	require.NoError(t, o.client.HDel(ctx, old[0].key, old[0].field).Err())
	require.NoError(t, o.client.HSet(ctx, old[1].key, old[1].field, withVersionOf(old[2].state, old[1].state)).Err())
	for _, who := range []string{"held-1", "held-2"} {
		s, _ := events.ParseSubject(who)
		require.NoError(t, o.client.HDel(ctx, l.Prefix(l.PartitionOf(s))+"held", who).Err())
	}
	victim, _ := events.ParseSubject("victim")
	require.NoError(t, o.client.HSet(ctx, l.Prefix(l.PartitionOf(victim))+"held", "victim", fmt.Sprintf("1/%d@3", l.PartitionOf(victim))).Err())
	r, found = o.verify(t, Config{})
	require.Equal(t, map[Kind]int64{Missing: 1, Altered: 1, Unheld: 2, HeldByNone: 1}, r.Kinds, "%v", found)
	who, _ := events.ParseSubject(old[0].field)
	_, found = o.verify(t, Config{Subject: who})
	require.Len(t, found, 1)
	require.Equal(t, Missing, found[0].Kind)
}

func TestSnapshotsJudgeBesideLiveTraffic(t *testing.T) {
	o := newTown(t, 1, 50, "marketing")
	o.live(t, 1000)
	o.snapshots(t)
	o.forget(t, 0, 500)
	var done atomic.Bool
	var g errgroup.Group
	g.Go(func() error {
		for n := 0; n < 500 && !done.Load(); n++ {
			o.live(t, 20)
		}
		return nil
	})
	for range 4 {
		r, found := o.verify(t, Config{})
		require.Empty(t, found)
		require.Equal(t, FromSnapshots, r.Partitions[0].Source, r.Partitions[0].Why)
		require.Zero(t, r.Partitions[0].Services[0].Unjudged)
	}
	done.Store(true)
	require.NoError(t, g.Wait())
}

// Snapshots are a copy: where no service ever had what they give, they judge nobody.
func TestSnapshotsWithoutAWitnessJudgeNobody(t *testing.T) {
	o := newTown(t, 1, 50, "marketing")
	o.live(t, 1000)
	o.snapshots(t)
	o.forget(t, 0, 500)
	all := o.states(t, "marketing")
	who, _ := events.ParseSubject(all[0].field)
	later, err := events.ParseState([]byte(withVersionOf(all[1].state, all[0].state)))
	require.NoError(t, err)
	m := snapshot.Message(who, later)
	m.Topic, m.Partition = o.Topics.State, 0
	_, err = o.producer.Publish(t.Context(), m)
	require.NoError(t, err)
	r, found := o.verify(t, Config{})
	require.Empty(t, found)
	require.Equal(t, FromLog, r.Partitions[0].Source)
	require.Contains(t, r.Partitions[0].Why, "no service bears the snapshots out: at 1000 they give")
	require.Positive(t, r.Partitions[0].Services[0].Unjudged)

	r, err = Run(t.Context(), o.Cluster, Config{States: 20})
	require.ErrorIs(t, err, exit.ErrFindings)
	require.Contains(t, r.Partitions[0].Why, "more subjects than 20")
}

// Neither log nor snapshots judge, and yet a ruined partition is found: what is
// stored is not what its digest says, and services differ.
func TestWhatNobodyCanJudgeIsAFindingAndDigestsAreComparedWithoutTheLog(t *testing.T) {
	o := newTown(t, 1, 100, "marketing", "targeting")
	o.live(t, 1000)
	o.settle(t)
	o.forget(t, 0, 900)
	r, err := Run(t.Context(), o.Cluster, Config{})
	require.ErrorIs(t, err, exit.ErrFindings)
	require.Empty(t, r.Kinds)
	require.Positive(t, r.Unjudged)

	all, prefix := o.states(t, "marketing"), o.inspector(t, "marketing").Layout().Prefix(0)
	require.NoError(t, o.client.HDel(t.Context(), all[0].key, all[0].field).Err())
	r, _ = Run(t.Context(), o.Cluster, Config{})
	require.EqualValues(t, 1, r.Kinds[NotStored])
	require.Zero(t, r.Kinds[Disagree])

	require.NoError(t, o.client.HSet(t.Context(), prefix+"pos", "digest", "1").Err())
	r, _ = Run(t.Context(), o.Cluster, Config{})
	require.EqualValues(t, 1, r.Kinds[Disagree])

	require.NoError(t, o.client.HSet(t.Context(), prefix+"pos", "torso", "1").Err())
	r, _ = Run(t.Context(), o.Cluster, Config{})
	require.EqualValues(t, 1, r.Kinds[Torso])
	require.Zero(t, r.Kinds[Disagree], "it is found already, and witnesses nothing")
}
