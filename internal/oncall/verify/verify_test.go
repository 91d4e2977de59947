package verify

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/window"
	"github.com/kelisim/kelisim/internal/testenv"
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
	testenv.Parallel(t)
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
	testenv.Parallel(t)
	o := newTown(t, 2, 50, "marketing", "targeting")
	o.live(t, 2000)
	stop := o.traffic(t)
	for range 4 {
		r, found := o.verify(t, Config{})
		require.Empty(t, found)
		for _, p := range r.Partitions {
			for _, s := range p.Services {
				require.Equal(t, s.Log, s.Keeps, "the digest is compared at the exact position, traffic or not")
			}
		}
	}
	stop()
	o.settle(t)
	_, found := o.verify(t, Config{})
	require.Empty(t, found)
}

// Brokers of one place and the Redis of another: nothing that is compared would mean
// anything.
func TestTheCacheOfAnotherLogIsRefused(t *testing.T) {
	testenv.Parallel(t)
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
	testenv.Parallel(t)
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
	testenv.Parallel(t)
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
	testenv.Parallel(t)
	o := newTown(t, 2, 20, "marketing", "targeting")
	o.live(t, 400)
	o.settle(t)
	victim := o.states(t, "targeting")[0]
	require.NoError(t, o.client.HDel(t.Context(), victim.key, victim.field).Err())
	who, err := events.ParseSubject(victim.field)
	require.NoError(t, err)
	r, found := o.verify(t, Config{Window: window.Window{Subject: who}})
	require.Len(t, found, 1)
	require.Equal(t, Missing, found[0].Kind)
	require.EqualValues(t, 1, r.Subjects)
	require.Len(t, r.Partitions, 1)
	other, err := events.ParseSubject(o.states(t, "targeting")[0].field)
	require.NoError(t, err)
	_, found = o.verify(t, Config{Window: window.Window{Subject: other}})
	require.Empty(t, found)
}

// An event in a wrong partition holds whom it names, in that one's own partition.
func TestHoldsOfEventsInWrongPartitionsAreCompared(t *testing.T) {
	testenv.Parallel(t)
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
