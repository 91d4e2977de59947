package replay_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/replay"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestInterruptedReplayGoesOnWhereItWas(t *testing.T) {
	testenv.Parallel(t)
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
	testenv.Parallel(t)
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
	testenv.Parallel(t)
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
	testenv.Parallel(t)
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
	testenv.Parallel(t)
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
