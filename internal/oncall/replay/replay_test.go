package replay_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cekafka/cesql"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/replay"
)

func TestReplayOfAHealthyCacheChangesNoByte(t *testing.T) {
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

func TestReplayBringsBackOnlyWhatWasPlanned(t *testing.T) {
	s := newScene(t, 60, 600)
	first, second := s.people[0], s.people[1]
	healthy := s.stored("marketing", first)
	s.damage("marketing", first, "")
	p := s.plan(replay.Selection{}, replay.Wish{})
	s.damage("marketing", second, "")
	_, err := s.apply(p, two)
	require.NoError(t, err)
	require.Equal(t, healthy, s.stored("marketing", first))
	p = s.plan(replay.Selection{}, replay.Wish{})
	require.Len(t, p.Mends, 1, "the second was not in the plan")
}

func TestAllowingNeedsPermissionAndASecondPerson(t *testing.T) {
	s := newScene(t, 60, 600)
	granted, denied := s.person(true), s.person(false)
	s.damage("marketing", granted, "")
	// A state that allows, in place of one that does not.
	twin := s.twin(denied)
	s.damage("marketing", denied, twin)
	p := s.plan(replay.Selection{}, replay.Wish{})
	require.Len(t, p.Mends, 2)
	require.Equal(t, 1, p.Allows())
	require.Equal(t, 1, p.Count(replay.Deny, "marketing"))
	for text, o := range map[string]replay.Orders{
		"needs --permit-grants":                {Operator: "aigerim"},
		"a second operator must agree":         {Operator: "aigerim", PermitGrants: true, SecondOperator: " "},
		"another person than aigerim":          {Operator: "aigerim", PermitGrants: true, SecondOperator: " Aigerim"},
		"1 of the repairs would allow what is": {Operator: "aigerim", SecondOperator: "dana"},
	} {
		_, err := s.apply(p, o)
		require.ErrorContains(t, err, text)
		require.Equal(t, exit.Refused, exit.Code(err))
	}
	require.Equal(t, twin, s.stored("marketing", denied), "nothing of it was done")

	p = s.plan(replay.Selection{}, replay.Wish{OnlyDeny: true})
	require.Len(t, p.Mends, 1)
	report, err := s.apply(p, replay.Orders{Operator: "aigerim"})
	require.NoError(t, err, "closing needs nobody's permission")
	require.Equal(t, 1, report.Total().Mended)
	require.NotEqual(t, twin, s.stored("marketing", denied))
	p = s.plan(replay.Selection{}, replay.Wish{})
	require.Equal(t, 1, p.Allows())
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

// A guard may know versions of the policy that the tool does not.
func TestGrantUnderAVersionThatIsNotKnownCountsAsAllowing(t *testing.T) {
	s := newScene(t, 20, 100)
	who, err := events.ParseSubject("newcomer")
	require.NoError(t, err)
	s.decideUnder("2031-01", who, events.Granted, "research")
	s.settle()
	s.damage("marketing", who, "")
	p := s.plan(replay.Selection{Subject: who}, replay.Wish{})
	require.Len(t, p.Mends, 1)
	require.Equal(t, replay.Allow, p.Mends[0].Effect)
	require.Contains(t, p.Mends[0].Opens, events.Purpose("research"))
	_, err = s.apply(p, replay.Orders{Operator: "aigerim"})
	require.Equal(t, exit.Refused, exit.Code(err))
}

// What is repaired is put in front of the service's action only where that was asked for.
// The service rests meanwhile: one that runs may act once more on what it acted on.
func TestSideEffectsAreOffUnlessAsked(t *testing.T) {
	for _, act := range []bool{false, true} {
		s := newScene(t, 60, 600)
		who := s.people[0]
		s.stop("marketing")
		s.damage("marketing", who, "")
		before := s.action.of(who)
		_, err := s.apply(s.plan(replay.Selection{}, replay.Wish{Act: act}), two)
		require.NoError(t, err)
		layout := s.bench.Caches["marketing"].Layout()
		waiting, err := s.client.ZRange(t.Context(), layout.Prefix(layout.PartitionOf(who))+"outbox", 0, -1).Result()
		require.NoError(t, err)
		if !act {
			require.Empty(t, waiting)
			continue
		}
		require.Equal(t, []string{who.Reveal()}, waiting)
		s.start("marketing")
		require.Eventually(t, func() bool { return s.action.of(who) > before }, 30*time.Second, 10*time.Millisecond)
	}
}

func TestInterruptedReplayGoesOnWhereItWas(t *testing.T) {
	s := newScene(t, 200, 2000)
	healthy := s.states()
	for _, who := range s.people {
		for _, name := range services {
			s.damage(name, who, "")
		}
	}
	p := s.plan(replay.Selection{}, replay.Wish{})
	require.Len(t, p.Mends, 2*len(s.people))
	o := two
	o.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")

	w, err := s.bench.Check(t.Context(), p, o)
	require.NoError(t, err)
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	s.bench.Hold = func(context.Context) error {
		if _, err := os.Stat(o.Checkpoint); err == nil { // the first partition is done
			cancel()
		}
		return nil
	}
	_, err = w.Do(ctx)
	require.Equal(t, exit.Partly, exit.Code(err))
	require.ErrorIs(t, err, context.Canceled)
	s.bench.Hold = nil
	kept, err := os.ReadFile(o.Checkpoint)
	require.NoError(t, err)
	require.Contains(t, string(kept), p.Hash)

	stop := s.load()
	report, err := s.apply(p, o)
	stop()
	require.NoError(t, err)
	all := report.Total()
	require.Equal(t, 2*len(s.people), all.Mended+all.Settled)
	require.Less(t, 0, all.Mended)
	require.NoFileExists(t, o.Checkpoint)
	s.settle()
	after := s.states()
	for key, fields := range healthy {
		for field, state := range fields {
			require.Equal(t, state, after[key][field])
		}
	}

	other := s.plan(replay.Selection{}, replay.Wish{})
	require.NoError(t, os.WriteFile(o.Checkpoint, kept, 0o600))
	_, err = s.apply(other, o)
	require.ErrorContains(t, err, "is of plan "+p.Hash)
}

func TestReplayIsRefusedWhenTheWorldMoved(t *testing.T) {
	refused := func(t *testing.T, err error, text string) {
		t.Helper()
		require.ErrorContains(t, err, text)
		require.Equal(t, exit.Refused, exit.Code(err))
	}
	s := newScene(t, 60, 600)
	who := s.people[0]
	bucket, field := s.place("marketing", who)
	s.damage("marketing", who, "")
	p := s.plan(replay.Selection{}, replay.Wish{})
	altered := func(change func(*replay.Plan)) *replay.Plan {
		c := *p
		change(&c)
		return &c
	}
	_, err := s.apply(altered(func(p *replay.Plan) { p.Cluster = "another" }), two)
	refused(t, err, "the plan is for another")
	_, err = s.apply(altered(func(p *replay.Plan) { p.Generation = 2 }), two)
	refused(t, err, "the plan is for generation 2")
	_, err = s.apply(altered(func(p *replay.Plan) {
		p.Ranges = append([]replay.Range(nil), p.Ranges...)
		p.Ranges[0].Digest = "0"
	}), two)
	refused(t, err, "other records stand between")

	file := filepath.Join(t.TempDir(), "plan.json")
	require.NoError(t, p.Save(file))
	require.Error(t, p.Save(file), "no plan is written over")
	loaded, err := replay.Load(file)
	require.NoError(t, err)
	require.Equal(t, p.Hash, loaded.Hash)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(text), `"act": false`, `"act": true`, 1)), 0o600))
	_, err = replay.Load(file)
	refused(t, err, "was altered")

	// Somebody else writes the state, and no event says why.
	require.NoError(t, s.client.HSet(t.Context(), bucket, field, "rubbish").Err())
	_, err = s.apply(loaded, two)
	refused(t, err, "neither what the plan saw nor what it wants")
	require.NotContains(t, err.Error(), who.Reveal())

	// The log lost its beginning.
	part := s.bench.Caches["marketing"].Layout().PartitionOf(who)
	p = s.plan(replay.Selection{}, replay.Wish{})
	_, err = s.broker.Admin(t).DeleteRecords(t.Context(), kadm.Offsets{s.topics.Events: {part: kadm.Offset{Topic: s.topics.Events, Partition: part, At: 1}}})
	require.NoError(t, err)
	_, err = s.apply(p, two)
	refused(t, err, "and the plan is about 0 to")
	_, err = s.bench.NewPlan(t.Context(), replay.Selection{}, replay.Wish{})
	refused(t, err, "no history is whole")
}

func TestFlushedCacheIsLeftToItsOwner(t *testing.T) {
	s := newScene(t, 60, 600)
	who := s.people[0]
	s.damage("marketing", who, "")
	p := s.plan(replay.Selection{}, replay.Wish{})
	s.stop("marketing")
	require.NoError(t, s.client.Del(t.Context(), s.client.Keys(t.Context(), "consent:{marketing/*pos").Val()...).Err())
	_, err := s.apply(p, two)
	require.Equal(t, exit.Refused, exit.Code(err))
	require.ErrorContains(t, err, "lost its position")
	p = s.plan(replay.Selection{}, replay.Wish{})
	require.Empty(t, p.Mends)
	require.Len(t, p.Services[0].Unknown(), partitions)
	require.Equal(t, len(s.people), p.Services[1].Unchanged(), "the other is looked at all the same")
}

func TestWhoDecidedSinceIsLeftOutAndNeedsANewPlan(t *testing.T) {
	s := newScene(t, 60, 600)
	moved, stays := s.people[0], s.people[1]
	s.damage("marketing", moved, s.twin(moved))
	s.damage("marketing", stays, "rubbish")
	s.stop("marketing")
	s.start("marketing") // it remembers nothing, and will fold from what is there
	p := s.plan(replay.Selection{}, replay.Wish{})
	require.Len(t, p.Mends, 2)
	s.decide(moved, events.Withdrawn, "promotion")
	s.settle()
	report, err := s.apply(p, two)
	require.Equal(t, exit.Partly, exit.Code(err))
	require.ErrorContains(t, err, "events came of 1 subjects")
	require.Equal(t, replay.Counts{Mended: 1, MovedOn: 1}, report.Total())
	p = s.plan(replay.Selection{}, replay.Wish{})
	require.Len(t, p.Mends, 1)
	_, err = s.apply(p, two)
	require.NoError(t, err)
	require.Empty(t, s.plan(replay.Selection{}, replay.Wish{}).Mends)
	s.settle()
	s.digestsAreRight()
}

// between is a cache in which something happens just before a mend.
type between struct {
	replay.Cache
	happens func()
}

func (b *between) Mend(ctx context.Context, partition int32, lo, hi int64, mends []cache.Mend) ([]cache.Verdict, error) {
	if b.happens != nil {
		b.happens()
		b.happens = nil
	}
	return b.Cache.Mend(ctx, partition, lo, hi, mends)
}

// A state that claims a version of the far future hides from its owner whatever
// comes: what is stored then looks as it did when it was judged.
func TestEventBetweenJudgingAndMendingIsNotLost(t *testing.T) {
	s := newScene(t, 60, 600)
	who := s.person(true)
	s.stop("marketing")
	s.damage("marketing", who, "\x00\x00\x7f\xff\xff\xff"+s.stored("marketing", who)[6:])
	s.start("marketing") // it remembers nothing, and believes what it reads
	p := s.plan(replay.Selection{}, replay.Wish{})
	require.Len(t, p.Mends, 1)
	whole := s.bench.Caches["marketing"]
	s.bench.Caches["marketing"] = &between{whole, func() {
		s.decide(who, events.Withdrawn, "promotion")
		s.settle()
	}}
	report, err := s.apply(p, two)
	require.Equal(t, exit.Partly, exit.Code(err))
	require.Equal(t, replay.Counts{MovedOn: 1}, report.Total())
	_, err = s.apply(s.plan(replay.Selection{}, replay.Wish{}), two)
	require.NoError(t, err)
	state, err := events.ParseState([]byte(s.stored("marketing", who)))
	require.NoError(t, err)
	require.Equal(t, events.ByWithdrawal, s.rules.Decide(state, "promotion").Reason)
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
	s := newScene(t, 60, 600)
	s.bench.Caches["marketing"] = &torn{Cache: s.bench.Caches["marketing"]}
	require.Empty(t, s.plan(replay.Selection{Partitions: []int32{0}}, replay.Wish{}).Mends)
}

// A service that stands still is compared where it stands, one that runs where it is.
func TestServicesAreComparedEachWhereItStands(t *testing.T) {
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

func TestSelectionsChooseWhoIsReplayed(t *testing.T) {
	s := newScene(t, 60, 600)
	began := time.Now()
	who := s.people[0]
	at := s.decide(who, events.Blocked)
	s.decide(s.people[1], events.Withdrawn, "research")
	s.settle()
	for _, name := range services {
		for _, p := range s.people {
			s.damage(name, p, "")
		}
	}
	filter := func(text string) *cesql.Filter {
		f, err := replay.ParseFilter(text)
		require.NoError(t, err)
		return f
	}
	everything := len(s.plan(replay.Selection{}, replay.Wish{}).Mends)
	require.Equal(t, 2*len(s.people), everything)
	for name, c := range map[string]struct {
		sel  replay.Selection
		want int
	}{
		"a subject":   {replay.Selection{Subject: who}, 2},
		"offsets":     {replay.Selection{Partitions: []int32{at.Partition}, From: at.Offset, To: at.Offset + 1}, 2},
		"a type":      {replay.Selection{Types: []events.Type{events.Blocked}, Since: began}, 2},
		"a source":    {replay.Selection{Sources: []string{"/told"}, Types: []events.Type{events.Blocked}}, 2},
		"a filter":    {replay.Selection{Filter: filter("type = '" + events.Blocked.String() + "' AND source LIKE '/to%'")}, 2},
		"a partition": {replay.Selection{Partitions: []int32{0, 1, 2, 3}}, everything},
	} {
		p := s.plan(c.sel, replay.Wish{})
		require.Len(t, p.Mends, c.want, name)
		if c.want == 2 {
			_, err := s.apply(p, two)
			require.NoError(t, err, name)
			s.damage("marketing", who, "")
			s.damage("targeting", who, "")
		}
	}
	for _, nothing := range []replay.Selection{{Sources: []string{"/tolds"}}, {Filter: filter("source = '/nobody'")}} {
		_, err := s.bench.NewPlan(t.Context(), nothing, replay.Wish{})
		require.ErrorContains(t, err, "nothing of the log is selected")
		require.Equal(t, exit.Usage, exit.Code(err))
	}
	for text, sel := range map[string]replay.Selection{
		"nothing of the log is selected": {Until: began.Add(-24 * time.Hour)},
		"offsets are of one partition":   {From: 1},
		"has none of that number":        {Partitions: []int32{9}},
		"the subject's events are in":    {Subject: who, Partitions: []int32{(at.Partition + 1) % partitions}},
	} {
		_, err := s.bench.NewPlan(t.Context(), sel, replay.Wish{})
		require.ErrorContains(t, err, text)
		require.Equal(t, exit.Usage, exit.Code(err))
	}
}

// The plan says whom it chose, and names nobody.
func TestPlanNamesItsFilterAndNobody(t *testing.T) {
	s := newScene(t, 20, 100)
	s.decide(s.people[0], events.Blocked)
	s.settle()
	f, err := replay.ParseFilter(`type LIKE '%block%' OR source = "subject's \"app\""`)
	require.NoError(t, err)
	p := s.plan(replay.Selection{Filter: f, Sources: []string{"/told"}}, replay.Wish{})
	require.Equal(t, f.String(), p.Filter)
	require.Equal(t, []string{"/told"}, p.Sources)
	var text strings.Builder
	p.Text(&text)
	require.Contains(t, text.String(), ", from /told, where type LIKE '%block%'")
	for _, named := range []string{"subject = 's-1'", "EXISTS partitionkey", "LEFT(Subject, 1) = 's'"} {
		_, err := replay.ParseFilter(named)
		require.ErrorContains(t, err, "names nobody", named)
	}
	_, err = replay.ParseFilter("source =")
	require.Error(t, err)
}

func TestLostHoldsAreLaidAgainAndReleasedOnesAreNot(t *testing.T) {
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
