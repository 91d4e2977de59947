package guard

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/testpolicy"
)

// fake is a cache that answers what the test says.
type fake struct {
	view      cache.View
	err       error
	after     *cache.View // what it shows once the layout was read again
	policies  cache.Policies
	policyErr error
	relearns  int
	reads     int // of the policies
	lookups   int
}

func (f *fake) Lookup(ctx context.Context, _ events.Subject) (cache.View, error) {
	f.lookups++
	if ctx.Err() != nil {
		return cache.View{}, ctx.Err()
	}
	return f.view, f.err
}

func (f *fake) Policies(context.Context) (cache.Policies, error) {
	f.reads++
	return f.policies, f.policyErr
}

func (f *fake) Relearn(context.Context) (bool, error) {
	f.relearns++
	if f.after == nil {
		return false, nil
	}
	f.view, f.err, f.after = *f.after, nil, nil
	return true, nil
}

// newFake is the cache of a service that knows the seed version.
func newFake(t testing.TB) *fake { return &fake{view: granted(t), policies: seeded(t)} }

// granted is a view of a subject that granted promotion and withdrew surveys.
func granted(t testing.TB) cache.View {
	rules := events.SeedRules()
	at := func(offset int64) events.Stamp {
		return events.Stamp{Position: events.Position{Generation: 1, Partition: 2, Offset: offset}, Appended: 1000}
	}
	promotion, err := rules.Set("promotion", "surveys")
	require.NoError(t, err)
	surveys, err := rules.Set("surveys")
	require.NoError(t, err)
	s, _ := rules.Apply(events.State{}, &events.Event{
		Method: events.ByPerson, Policy: events.SeedPolicy, ID: "1", Source: "web", Type: events.Granted, Subject: someone(t), Decided: 1000, Purposes: promotion, Logged: at(4),
	})
	s, _ = rules.Apply(s, &events.Event{
		Method: events.ByPerson, Policy: events.SeedPolicy, ID: "2", Source: "web", Type: events.Withdrawn, Subject: someone(t), Decided: 2000, Purposes: surveys, Logged: at(7),
	})
	return cache.View{Policy: seeded(t).Revision, State: s, Known: true, Generation: 1, Partition: 2, Next: 9, Fresh: 1_790_000_000_000, Now: 1_790_000_000_120}
}

// seeded are the policies of a service that knows the seed version.
func seeded(t testing.TB) cache.Policies { return published(t, testpolicy.Seed(t)) }

// published are the policies of a service to which versions came one by one.
func published(t testing.TB, versions ...*policy.Catalogue) cache.Policies {
	book := testpolicy.NewFixed(t, versions...).Current().Book
	text, err := book.JSON()
	require.NoError(t, err)
	return cache.Policies{Revision: book.Revision(), Grown: book.Grown(), Catalogues: string(text)}
}

func someone(t testing.TB) events.Subject {
	s, err := events.ParseSubject("s-1")
	require.NoError(t, err)
	return s
}

func TestAnswersFromWhatWasDecided(t *testing.T) {
	f := newFake(t)
	g := patientGuard(f)
	d := g.Check(t.Context(), someone(t), "promotion")
	require.True(t, d.Allowed)
	require.NoError(t, d.Err())
	require.Equal(t, "allowed: granted (promotion, consent) by 1/2@4, 120ms old", d.String())
	require.Equal(t, time.UnixMilli(1_790_000_000_000).UTC(), d.AsOf)

	d = g.Check(t.Context(), someone(t), "surveys")
	require.False(t, d.Allowed)
	require.Equal(t, "denied: withdrawn (surveys, consent) by 1/2@7, 120ms old", d.String())
	require.ErrorIs(t, d.Err(), ErrDenied)
	require.Equal(t, d.String(), d.LogValue().String())
	require.Equal(t, slog.KindString, d.LogValue().Kind())

	require.Equal(t, events.NeverGranted, g.Check(t.Context(), someone(t), "research").Reason)
	require.Equal(t, events.ByLaw, g.Check(t.Context(), someone(t), "legal").Reason)
	require.Equal(t, 4, f.lookups, "one question each")
}

func TestZeroDecisionDenies(t *testing.T) {
	var d Decision
	require.False(t, d.Allowed)
	require.ErrorIs(t, d.Err(), ErrDenied)
	require.Equal(t, "denied: none", d.String())
}

func TestWhatNobodyKnowsDenies(t *testing.T) {
	f := newFake(t)
	g := patientGuard(f)
	require.Equal(t, events.UnknownSubject, g.Check(t.Context(), events.Subject{}, "promotion").Reason)
	require.Zero(t, f.lookups)
	require.Equal(t, events.UnknownPurpose, g.Check(t.Context(), someone(t), "sell-it").Reason)
}

func TestDoubtDenies(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(f *fake)
		want  events.Reason
	}{
		"no position":               {func(f *fake) { f.view.Known = false }, events.Stale},
		"never proved fresh":        {func(f *fake) { f.view.Fresh = 0 }, events.Stale},
		"too old":                   {func(f *fake) { f.view.Now = f.view.Fresh + 3001 }, events.Stale},
		"fresher than the clock":    {func(f *fake) { f.view.Now = f.view.Fresh - 501 }, events.Stale},
		"no layout":                 {func(f *fake) { f.err = cache.ErrNoLayout }, events.Stale},
		"redis is away":             {func(f *fake) { f.err = cache.ErrUnavailable }, events.Unreachable},
		"the state cannot be read":  {func(f *fake) { f.err = events.ErrState }, events.Unreachable},
		"held":                      {func(f *fake) { f.view.Held = true }, events.Held},
		"nothing known of somebody": {func(f *fake) { f.view.State = events.State{} }, events.UnknownSubject},
		"nothing at all":            {func(f *fake) { f.view = cache.View{} }, events.Stale},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			require.True(t, patientGuard(f).Check(t.Context(), someone(t), "promotion").Allowed)
			c.spoil(f)
			for _, purpose := range []events.Purpose{"promotion", "legal"} {
				d := patientGuard(f).Check(t.Context(), someone(t), purpose)
				require.False(t, d.Allowed)
				require.Equal(t, c.want, d.Reason)
				require.Equal(t, purpose, d.Purpose)
			}
		})
	}
}

func TestStillAllowsWithinTheBounds(t *testing.T) {
	f := newFake(t)
	f.view.Now = f.view.Fresh + 3000
	require.True(t, patientGuard(f).Check(t.Context(), someone(t), "promotion").Allowed)
	require.False(t, build(f, []Option{WithMaxStaleness(time.Second), WithDeadline(time.Minute)}).Check(t.Context(), someone(t), "promotion").Allowed)
	f.view.Now = f.view.Fresh - 500 // another node's clock
	d := patientGuard(f).Check(t.Context(), someone(t), "promotion")
	require.True(t, d.Allowed)
	require.Zero(t, d.Age)
}

func TestPositionThatGoesBackDenies(t *testing.T) {
	f := newFake(t)
	g := patientGuard(f)
	require.True(t, g.Check(t.Context(), someone(t), "promotion").Allowed)
	f.view.Next--
	d := g.Check(t.Context(), someone(t), "promotion")
	require.Equal(t, events.Stale, d.Reason)
	require.ErrorIs(t, d.Err(), errBack)
	f.view.Next++
	require.True(t, g.Check(t.Context(), someone(t), "promotion").Allowed, "once it caught up")
	f.view.Next, f.view.Generation = 0, 2
	require.True(t, g.Check(t.Context(), someone(t), "promotion").Allowed, "another generation counts anew")
}

func TestAnswersOutOfOrderAreNotGoneBack(t *testing.T) {
	var p progress
	v := granted(t)
	early := time.Now()
	p.see(v, time.Now())
	v.Next--
	_, back := p.see(v, early)
	require.False(t, back, "it was asked for before the later one was seen")
	_, back = p.see(v, time.Now())
	require.True(t, back)
}

func TestFreshnessThatStandsStillGrowsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t) // the clock of redis stands still too
		g := patientGuard(f)
		require.True(t, g.Check(t.Context(), someone(t), "promotion").Allowed)
		time.Sleep(DefaultMaxStaleness) // by the bubble's clock, as below
		require.True(t, g.Check(t.Context(), someone(t), "promotion").Allowed)
		time.Sleep(time.Millisecond)
		require.Equal(t, events.Stale, g.Check(t.Context(), someone(t), "promotion").Reason)
		f.view.Fresh++
		require.True(t, g.Check(t.Context(), someone(t), "promotion").Allowed)
	})
}

func TestStaleGuardLooksForANewLayoutOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{policies: seeded(t)}
		g := patientGuard(f)
		for range 10 {
			require.Equal(t, events.Stale, g.Check(t.Context(), someone(t), "promotion").Reason)
		}
		require.Equal(t, 1, f.relearns)
		time.Sleep(relearnEvery) // by the bubble's clock
		next := granted(t)
		f.after = &next
		require.True(t, g.Check(t.Context(), someone(t), "promotion").Allowed, "asked again by the new layout")
		require.Equal(t, 2, f.relearns)
	})
}

func TestEndedContextDenies(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := build(newFake(t), nil).Check(ctx, someone(t), "promotion")
	require.Equal(t, events.Unreachable, d.Reason)
	require.ErrorIs(t, d.Err(), context.Canceled)
}

// hanging is a cache that never answers, and does not care for contexts.
type hanging struct{ release chan struct{} }

func (h hanging) Lookup(context.Context, events.Subject) (cache.View, error) {
	<-h.release
	return cache.View{}, errors.New("too late")
}

func (hanging) Policies(context.Context) (cache.Policies, error) { return cache.Policies{}, nil }

func (h hanging) Relearn(context.Context) (bool, error) { return false, nil }

func TestHangingClientIsLeftAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hanging{make(chan struct{})}
		b := &bounded{reader: h}
		g := build(b, nil)
		began := time.Now()
		d := g.Check(t.Context(), someone(t), "promotion")
		require.Equal(t, events.Unreachable, d.Reason)
		require.ErrorIs(t, d.Err(), context.DeadlineExceeded)
		require.Equal(t, DefaultDeadline, time.Since(began))

		impatient, cancel := context.WithTimeout(t.Context(), 0)
		defer cancel()
		for range 2 * maxWaiting {
			require.False(t, g.Check(impatient, someone(t), "promotion").Allowed)
		}
		require.LessOrEqual(t, b.waiting.Load(), int64(maxWaiting))
		require.ErrorIs(t, g.Check(impatient, someone(t), "promotion").Err(), errBusy)
		close(h.release)
		synctest.Wait()
		require.Zero(t, b.waiting.Load())
	})
}
