package replay_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/replay"
	"github.com/kelisim/kelisim/internal/oncall/window"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestReplayOfAHealthyCacheChangesNoByte(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t, 120, 1500)
	before := s.dump()
	p := s.plan(replay.Selection{}, replay.Wish{})
	require.Empty(t, p.Mends)
	require.Len(t, p.Ranges, partitions)
	total, subjects := 0, 0
	for i := range p.Ranges {
		total, subjects = total+p.Ranges[i].Records, subjects+p.Ranges[i].Subjects
	}
	require.Equal(t, 1500, total)
	require.Equal(t, len(s.people), subjects)
	for i := range p.Services {
		require.Equal(t, subjects, p.Services[i].Unchanged())
	}
	report, err := s.apply(p, replay.Orders{})
	require.NoError(t, err)
	require.Zero(t, report.Total())
	require.Equal(t, before, s.dump())
}

func TestReplayUnderLiveTrafficFindsNothingWrongInAHealthyCache(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t, 60, 600)
	s.load()
	for range 3 {
		p := s.plan(replay.Selection{}, replay.Wish{})
		require.Empty(t, p.Mends)
		_, err := s.apply(p, replay.Orders{})
		require.NoError(t, err)
	}
	require.False(t, s.said.says("reading again"), "the owners were left alone")
}

func TestDamageIsFoundAndHealedUnderLiveTraffic(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t, 120, 1500)
	healthy := s.states()
	lost, frozen, swapped, rubbish := s.people[0], s.people[1], s.people[2], s.people[3]
	right := s.stored("marketing", frozen)
	s.damage("marketing", lost, "")
	s.damage("marketing", frozen, "\x00\x00\x7f\xff\xff\xff"+right[6:]) // a version that no event will ever reach
	s.damage("targeting", swapped, s.stored("targeting", s.other(swapped)))
	s.damage("targeting", rubbish, "rubbish")
	stop := s.load()
	p := s.plan(replay.Selection{}, replay.Wish{})
	require.Len(t, p.Mends, 4)
	kinds := map[replay.Kind]bool{}
	for _, m := range p.Mends {
		kinds[m.Kind] = true
	}
	require.Contains(t, kinds, replay.Missing)
	require.Contains(t, kinds, replay.Newer)
	require.Contains(t, kinds, replay.Unreadable)
	require.NotZero(t, p.Allows())
	text, err := json.Marshal(p)
	require.NoError(t, err)
	for _, who := range []events.Subject{lost, frozen, swapped, rubbish} {
		require.NotContains(t, string(text), who.Reveal())
	}

	report, err := s.apply(p, two)
	require.NoError(t, err)
	require.Equal(t, 4, report.Total().Mended)
	require.Equal(t, 4, report.Right)
	require.Empty(t, report.Wrong)
	stop()
	s.settle()
	after := s.states()
	for key, fields := range healthy {
		for field, state := range fields {
			require.Equal(t, state, after[key][field], "who was not touched by the load is as before")
		}
	}
	require.Empty(t, s.plan(replay.Selection{}, replay.Wish{}).Mends)
	require.False(t, s.said.says("another consumer took a partition over"), "the owners stayed in their groups")
	require.True(t, s.said.says("reading again from the cache's position"), "and read anew what they had in memory")

	s.digestsAreRight()
}

// digestsAreRight checks, while nobody writes, that each digest is that of what is
// stored.
func (s *scene) digestsAreRight() {
	s.t.Helper()
	for _, name := range services {
		for p, was := range s.services[name].Marks() {
			ok, err := s.bench.Caches[name].Redigest(s.t.Context(), int32(p))
			require.NoError(s.t, err)
			require.True(s.t, ok)
			require.Equal(s.t, was.Digest, s.services[name].Marks()[p].Digest)
		}
	}
}

// other returns another person of the same partition.
func (s *scene) other(who events.Subject) events.Subject {
	l := s.bench.Caches["marketing"].Layout()
	for _, o := range s.people[4:] {
		if l.PartitionOf(o) == l.PartitionOf(who) && s.stored("marketing", o) != s.stored("marketing", who) {
			return o
		}
	}
	require.Fail(s.t, "alone in its partition")
	return who
}

// twin makes the state of a person to whom promotion was granted where the person
// of the given one withdrew: the same version, and another answer.
func (s *scene) twin(who events.Subject) string {
	have, err := events.ParseState([]byte(s.stored("marketing", who)))
	require.NoError(s.t, err)
	at, _ := have.Version()
	all, err := s.rules.Set("promotion", "contests", "surveys", "research", "personalisation", "targeted-ads", "new-services", "cross-border", "partner-contracts", "contractors")
	require.NoError(s.t, err)
	state := events.State{}
	for i, e := range []events.Event{
		{Type: events.AgreementStarted}, {Type: events.Granted, Purposes: all, Policy: events.SeedPolicy},
	} {
		e.ID, e.Source, e.Method, e.Subject = "twin", "/twin", events.ByPerson, who
		e.Decided = events.MillisOf(time.Now())
		e.Logged = events.Stamp{Position: at, Appended: e.Decided}
		e.Logged.Position.Offset += int64(i) - 1
		state, _ = s.rules.Apply(state, &e)
	}
	return state.Encoded()
}

// torn is a cache in the middle of a batch at the first look: states are written,
// and the position has not moved.
type torn struct {
	replay.Cache
	looks int
}

func (c *torn) Look(ctx context.Context, partition int32, subjects []events.Subject) (cache.Sight, error) {
	sight, err := c.Cache.Look(ctx, partition, subjects)
	if c.looks++; c.looks <= 2 { // the first asks for the position alone
		sight.Next -= 5
	}
	return sight, err
}

func TestHalfOfABatchIsNoDamage(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t, 60, 600)
	s.bench.Caches["marketing"] = &torn{Cache: s.bench.Caches["marketing"]}
	require.Empty(t, s.plan(replay.Selection{Window: window.Window{Partitions: []int32{0}}}, replay.Wish{}).Mends)
}

// A service that stands still is compared where it stands, one that runs where it is.
func TestServicesAreComparedEachWhereItStands(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t, 60, 600)
	s.stop("targeting")
	behind := s.stored("targeting", s.people[5])
	for _, who := range s.people[:30] {
		s.decide(who, events.Withdrawn, "promotion", "research")
	}
	s.settle()
	require.Empty(t, s.plan(replay.Selection{}, replay.Wish{}).Mends)
	s.damage("targeting", s.people[5], "")
	p := s.plan(replay.Selection{}, replay.Wish{})
	require.Len(t, p.Mends, 1)
	_, err := s.apply(p, two)
	require.NoError(t, err)
	require.Equal(t, behind, s.stored("targeting", s.people[5]), "where it stood, not where the log is")
	s.start("targeting")
	s.settle()
	require.Empty(t, s.plan(replay.Selection{}, replay.Wish{}).Mends)
}

func TestLostHoldsAreLaidAgainAndReleasedOnesAreNot(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t, 20, 100)
	malformed := func(who events.Subject) events.Position {
		set, err := s.rules.Set("promotion")
		require.NoError(t, err)
		m := s.encode(&events.Event{
			ID: "m-" + who.Reveal(), Source: "/told", Type: events.Withdrawn, Method: events.ByPerson, Subject: who, Purposes: set,
			Decided: events.MillisOf(time.Now()), Data: []byte(`{"channel":"app"}`),
		})
		m.Value = []byte("no object")
		ack, err := s.producer.Publish(t.Context(), m)
		require.NoError(t, err)
		return events.Position{Generation: 1, Partition: ack.Partition, Offset: ack.Offset}
	}
	lost, released := s.people[0], s.people[1]
	at, other := malformed(lost), malformed(released)
	s.settle()
	require.True(t, s.plan(replay.Selection{}, replay.Wish{}).Empty())
	marketing := s.bench.Caches["marketing"].(*cache.Mender)
	require.NoError(t, marketing.Release(t.Context(), released, other))
	key := func(who events.Subject) string {
		return marketing.Layout().Prefix(marketing.Layout().PartitionOf(who)) + "held"
	}
	require.NoError(t, s.client.HDel(t.Context(), key(lost), lost.Reveal()).Err())

	p := s.plan(replay.Selection{}, replay.Wish{})
	require.Empty(t, p.Mends)
	require.Len(t, p.Holds, 1)
	require.Equal(t, at.String(), p.Holds[0].At)
	report, err := s.apply(p, replay.Orders{Operator: "aigerim"})
	require.NoError(t, err)
	require.Equal(t, replay.Counts{Held: 1}, report.Total())
	require.Equal(t, 1, report.Right)
	have, err := marketing.Holding(t.Context(), lost)
	require.NoError(t, err)
	require.Equal(t, []events.Position{at}, have.By)
	require.True(t, s.plan(replay.Selection{}, replay.Wish{}).Empty())
	report, err = s.apply(p, replay.Orders{Operator: "aigerim"})
	require.NoError(t, err)
	require.Equal(t, replay.Counts{Settled: 1}, report.Total())
}
