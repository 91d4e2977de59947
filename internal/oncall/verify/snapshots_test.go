package verify

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/snapshot"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/window"
	"github.com/kelisim/kelisim/internal/testenv"
)

// Of people whose first events are no longer in the log nothing can be said; those
// who are missing are missing all the same.
func TestWhatTheLogNoLongerHasIsNotJudged(t *testing.T) {
	testenv.Parallel(t)
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

// Snapshots say of people whose first events are no longer in the log what these
// came to, and who is held by what.
func TestWhatTheLogNoLongerHasIsJudgedBySnapshots(t *testing.T) {
	testenv.Parallel(t)
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
	_, found = o.verify(t, Config{Window: window.Window{Subject: who}})
	require.Len(t, found, 1)
	require.Equal(t, Missing, found[0].Kind)
}

func TestSnapshotsJudgeBesideLiveTraffic(t *testing.T) {
	testenv.Parallel(t)
	o := newTown(t, 1, 50, "marketing")
	o.live(t, 1000)
	o.snapshots(t)
	o.forget(t, 0, 500)
	stop := o.traffic(t)
	for range 4 {
		r, found := o.verify(t, Config{})
		require.Empty(t, found)
		require.Equal(t, FromSnapshots, r.Partitions[0].Source, r.Partitions[0].Why)
		require.Zero(t, r.Partitions[0].Services[0].Unjudged)
	}
	stop()
}

// Snapshots are a copy: where no service ever had what they give, they judge nobody.
func TestSnapshotsWithoutAWitnessJudgeNobody(t *testing.T) {
	testenv.Parallel(t)
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
	testenv.Parallel(t)
	o := newTown(t, 1, 100, "marketing", "targeting")
	o.live(t, 1000)
	o.settle(t)
	o.forget(t, 0, 900)
	cfg := Config{Patience: 500 * time.Millisecond} // nobody comes by
	r, err := Run(t.Context(), o.Cluster, cfg)
	require.ErrorIs(t, err, exit.ErrFindings)
	require.Empty(t, r.Kinds)
	require.Positive(t, r.Unjudged)

	all, prefix := o.states(t, "marketing"), o.inspector(t, "marketing").Layout().Prefix(0)
	require.NoError(t, o.client.HDel(t.Context(), all[0].key, all[0].field).Err())
	r, _ = Run(t.Context(), o.Cluster, cfg)
	require.EqualValues(t, 1, r.Kinds[NotStored])
	require.Zero(t, r.Kinds[Disagree])

	require.NoError(t, o.client.HSet(t.Context(), prefix+"pos", "digest", "1").Err())
	r, _ = Run(t.Context(), o.Cluster, cfg)
	require.EqualValues(t, 1, r.Kinds[Disagree])

	require.NoError(t, o.client.HSet(t.Context(), prefix+"pos", "torso", "1").Err())
	r, _ = Run(t.Context(), o.Cluster, cfg)
	require.EqualValues(t, 1, r.Kinds[Torso])
	require.Zero(t, r.Kinds[Disagree], "it is found already, and witnesses nothing")
}
