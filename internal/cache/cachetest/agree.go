package cachetest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

// stallsAllowed is how many histories may end because the store did not answer.
// A machine that stands still for a moment costs one or two; a store that never
// answers must not pass.
const stallsAllowed = 10

// agree drives a store and the one in memory through the same random history of
// an engine's life, and compares everything that can be seen. A history in which
// the store did not answer proves nothing: another takes its place.
func agree(ctx context.Context, t rapid.TB, open Open) {
	tried := &trial{t: t}
	rapid.Check(t, func(rt *rapid.T) {
		memory, err := cache.NewMemory(Layout(), nil)
		require.NoError(rt, err)
		p := &pair{
			t: rt, trial: tried, ctx: ctx, log: NewLog(Layout(), partition, 12),
			model: Fixture{Store: memory, Flush: memory.Flush},
		}
		p.w = witness{rt, p}
		p.real, err = open(ctx)
		p.must(err)
		rt.Cleanup(p.real.Close)
		p.claim()
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(*rapid.T) { p.grow() },
			"write":  func(*rapid.T) { p.write() },
			"claim":  func(*rapid.T) { p.claim() },
			"begin":  func(*rapid.T) { p.begin() },
			"act":    func(*rapid.T) { p.act() },
			"hold":   func(*rapid.T) { p.hold() },
			"owe":    func(*rapid.T) { p.owe() },
			"receipt": func(*rapid.T) {
				p.refresh()
			},
			"flush": func(*rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "flush") == 0 {
					p.flush()
				}
			},
			"": func(*rapid.T) { p.compare() },
		})
	})
}

// trial is all histories together.
type trial struct {
	t      rapid.TB
	stalls int
	told   bool // of the first failure
}

// stall ends a history that proves nothing, and fails when there are too many.
func (tr *trial) stall(rt *rapid.T, err error) {
	if tr.stalls++; tr.stalls > stallsAllowed {
		rt.Fatalf("the store is unavailable in one history after another: %v", err)
	}
	rt.Skipf("a history that proves nothing: %v", err)
}

// witness tells the first failure as it happened, with the steps that led there,
// and passes it on. What rapid makes smaller may fail in another way, or no more.
type witness struct {
	*rapid.T
	p *pair
}

// Errorf implements [require.TestingT].
func (w witness) Errorf(format string, args ...any) {
	if tr := w.p.trial; !tr.told {
		tr.told = true
		tr.t.Logf("the first failure, after %s:\n%s", strings.Join(w.p.steps, ", "), fmt.Sprintf(format, args...))
	}
	w.T.Errorf(format, args...)
}

// pair is a store, its model, and the engine that drives both.
type pair struct {
	t           *rapid.T
	w           witness // what comparisons report to
	trial       *trial
	ctx         context.Context
	log         *Log
	model, real Fixture
	mark        [2]cache.Mark // of the model and the store: epochs and times differ
	last        []cache.Change
	lastFrom    int64
	steps       []string // so far
	stalled     bool     // the store did not answer: nothing is compared any more
}

func (p *pair) stores() [2]cache.Store { return [2]cache.Store{p.model.Store, p.real.Store} }

// both runs one step on both and compares what came out.
func (p *pair) both(step string, run func(i int, s cache.Store) (any, error)) {
	var got [2]any
	var errs [2]error
	p.steps = append(p.steps, step)
	if p.stalled {
		p.t.SkipNow()
	}
	for i, s := range p.stores() {
		got[i], errs[i] = run(i, s)
		p.answered(errs[i])
	}
	require.Equal(p.w, kind(errs[0]), kind(errs[1]), "%s: %v, but redis: %v", step, errs[0], errs[1])
	require.Equal(p.w, got[0], got[1], step)
}

// must ends the history at an error that no step may have.
func (p *pair) must(err error) {
	p.answered(err)
	require.NoError(p.w, err)
}

// answered ends the history when the store could not be asked: what it holds
// now nobody knows.
func (p *pair) answered(err error) {
	if !errors.Is(err, cache.ErrUnavailable) {
		return
	}
	p.stalled = true
	p.trial.stall(p.t, err)
}

func (p *pair) keep(i int, r cache.Result) {
	if r.Err == nil {
		p.mark[i] = r.Mark
	}
}

// clockSlack is how far a machine's clock may be set back between two commands.
// That freshness is no further ahead than that, to the millisecond, is another
// promise's to show.
const clockSlack = events.Millis(1000)

// compare looks at everything that is stored.
func (p *pair) compare() {
	who := rapid.IntRange(0, holdable-1).Draw(p.t, "look up")
	p.both("compare", func(i int, s cache.Store) (any, error) {
		var seen []any
		states, err := s.Load(p.ctx, partition, p.log.Subjects)
		p.must(err)
		var digest cache.Digest
		for n, subject := range p.log.Subjects {
			digest = digest.Swap(subject, events.State{}, states[n])
			seen = append(seen, states[n])
			if n != who {
				continue
			}
			v, err := s.Lookup(p.ctx, subject)
			p.must(err)
			require.Equal(p.w, states[n], v.State)
			require.LessOrEqual(p.w, v.Fresh, v.Now+clockSlack)
			seen = append(seen, v.Held, v.Known, v.Next, v.Fresh == 0, v.Policy)
		}
		if p.mark[i].Known {
			require.Equal(p.w, digest, p.mark[i].Digest, "the digest is that of what is stored")
		}
		waiting, err := s.Pending(p.ctx, partition, 100)
		p.must(err)
		return append(seen, waiting), nil
	})
}

// plain is a mark without what clocks decide.
func plain(m cache.Mark) cache.Mark {
	m.Epoch, m.Fresh = 0, min(m.Fresh, 1)
	return m
}

// kind names the error a caller acts on.
func kind(err error) error {
	for _, known := range []error{cache.ErrMoved, cache.ErrFenced, cache.ErrOutdated, cache.ErrDamaged, cache.ErrLayout, cache.ErrUnavailable} {
		if errors.Is(err, known) {
			return known
		}
	}
	return err
}
