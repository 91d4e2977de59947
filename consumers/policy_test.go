package consumers

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/testpolicy"
)

// settled says whether the cache holds all of the log, by the edition in force,
// and all that follows is done.
func (b *bed) settled(t testing.TB) bool {
	e := b.policy.Current()
	for p := range int32(testPartitions) {
		swept, err := b.store.Swept(context.Background(), p)
		require.NoError(t, err)
		if b.store.Refresh(context.Background(), []cache.Proof{{Partition: p}}); swept != (cache.Sweep{Mark: e.Mark()}) {
			return false
		}
	}
	return b.caughtUp(t)
}

func (b *bed) settle(t testing.TB) {
	t.Helper()
	for range 10_000 {
		synctest.Wait()
		if b.settled(t) {
			return
		}
		<-time.After(10 * time.Millisecond) // of the bubble's own clock
	}
	t.Fatal("never settled")
}

// answer is what a guard makes of the cache: by the policies that its position
// names, at the moment of its clock.
func (b *bed) answer(t testing.TB, s events.Subject, p events.Purpose) events.Answer {
	t.Helper()
	view, err := b.store.Lookup(context.Background(), s)
	require.NoError(t, err)
	there, err := b.store.Policies(context.Background())
	require.NoError(t, err)
	require.True(t, there.Knows(view.Policy), "the position names %q before it is published", view.Policy)
	book, err := policy.ReadBook([]byte(there.Catalogues))
	require.NoError(t, err)
	return book.RulesAt(view.Now.Time()).Decide(view.State, p)
}

// grant tells that a person consents under a version.
func (b *bed) grant(t testing.TB, n int, under events.PolicyVersion, purposes ...events.Purpose) {
	b.decide(t, n, events.Granted, under, purposes...)
}

func (b *bed) decide(t testing.TB, n int, kind events.Type, under events.PolicyVersion, purposes ...events.Purpose) {
	set, err := b.rules.Set(purposes...)
	require.NoError(t, err)
	b.log.tell(events.Event{
		Method: events.ByPerson, Policy: under, ID: fmt.Sprint("p", len(b.log.told)), Source: "/web", Type: kind,
		Subject: subject(t, n), Decided: events.Millis(1_000_000 + 1000*len(b.log.told)), Purposes: set,
	})
}

// wider is a version that asks for more of promotion, and for nothing else.
func wider(t testing.TB, name events.PolicyVersion, published time.Time) *policy.Catalogue {
	return testpolicy.Version(t, name, published, func(c *policy.Catalogue) {
		testpolicy.CoveredFrom(c, events.SeedPolicy)
		testpolicy.Widen(c, "promotion")
	})
}

func TestAWiderVersionStopsEverybodyAtOnceUntilTheyAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const people = 60
		b := newBed(t)
		promo, _ := b.rules.Set("promotion")
		stop := b.start(t)
		for n := range people {
			b.grant(t, n, events.SeedPolicy, "promotion", "research")
		}
		b.settle(t)
		before := b.action.acts
		require.True(t, b.answer(t, subject(t, 1), "promotion").Allowed)

		b.policy.publish(wider(t, "two", time.Now()))
		b.policy.follow()
		b.settle(t)
		for n := range people {
			require.Equal(t, promo, b.action.of(subject(t, n)), "subject %d is still in audiences", n)
			require.Equal(t, events.PolicyOutdated, b.answer(t, subject(t, n), "promotion").Reason)
			require.True(t, b.answer(t, subject(t, n), "research").Allowed)
		}
		require.Greater(t, b.action.acts, before)

		b.decide(t, 7, events.PolicyAccepted, "two")
		b.settle(t)
		require.True(t, b.answer(t, subject(t, 7), "promotion").Allowed)
		require.Zero(t, b.action.of(subject(t, 7)))
		require.NoError(t, stop())
	})
}

func TestNobodyIsActedOnWhomAVersionDoesNotConcern(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		stop := b.start(t)
		for n := range 30 {
			b.grant(t, n, events.SeedPolicy, []events.Purpose{"promotion", "research"}[n%2])
		}
		b.settle(t)
		clear(b.action.stopped)
		b.policy.publish(wider(t, "two", time.Now()))
		b.policy.follow()
		b.settle(t)
		require.Len(t, b.action.stopped, 15, "those who consented to what is asked again")
		require.NoError(t, stop())
	})
}

// A version that a grant names arrives, and the person withdraws: what the engine
// remembers of the time before must not hide that.
func TestWithdrawalAfterAVersionArrivedIsActedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		promo, _ := b.rules.Set("promotion")
		stop := b.start(t)
		b.grant(t, 1, "two", "promotion")
		b.settle(t)
		require.Equal(t, events.PolicyUnknown, b.answer(t, subject(t, 1), "promotion").Reason)
		require.Equal(t, promo, b.action.of(subject(t, 1)))

		b.policy.publish(wider(t, "two", time.Now()))
		b.policy.follow()
		b.settle(t)
		require.True(t, b.answer(t, subject(t, 1), "promotion").Allowed, "it was kept, and stands now")
		require.Zero(t, b.action.of(subject(t, 1)))

		b.decide(t, 1, events.Withdrawn, "", "promotion")
		b.settle(t)
		require.Equal(t, promo, b.action.of(subject(t, 1)), "withdrawn, and nobody acted")
		require.NoError(t, stop())
	})
}

func TestAVersionPublishedAheadCountsFromItsDayOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		promo, _ := b.rules.Set("promotion")
		stop := b.start(t)
		b.grant(t, 1, events.SeedPolicy, "promotion")
		ahead := testpolicy.Version(t, "two", time.Now(), func(c *policy.Catalogue) {
			c.EffectiveOn = policy.DateOf(time.Now()).Add(1)
		})
		b.policy.publish(ahead)
		b.policy.follow()
		b.settle(t)
		require.True(t, b.answer(t, subject(t, 1), "promotion").Allowed)
		require.Zero(t, b.action.of(subject(t, 1)))

		require.NoError(t, stop())
		time.Sleep(time.Until(ahead.EffectiveOn.Start()) - time.Second)
		stop = b.start(t)
		b.settle(t)
		require.Zero(t, b.action.of(subject(t, 1)))
		time.Sleep(time.Second)
		require.Equal(t, events.PolicyOutdated, b.answer(t, subject(t, 1), "promotion").Reason, "whether the service noticed or not")
		b.policy.follow()
		b.settle(t)
		require.Equal(t, promo, b.action.of(subject(t, 1)))
		require.NoError(t, stop())
	})
}

func TestNothingIsFreshWhileThePolicyCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		stop := b.start(t)
		b.settle(t)
		age := func() time.Duration { return time.Since(b.mark(0).Fresh.Time()) }
		<-time.After(5 * time.Second)
		require.Less(t, age(), 2*time.Second)
		b.policy.lose()
		<-time.After(5 * time.Second)
		require.Greater(t, age(), 3*time.Second)
		b.policy.mu.Lock()
		b.policy.unread = false
		b.policy.mu.Unlock()
		<-time.After(2 * time.Second)
		require.Less(t, age(), 2*time.Second)
		require.NoError(t, stop())
	})
}

func TestNoPartitionIsTouchedBeforeThePolicyIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		stop := b.start(t)
		b.grant(t, 1, events.SeedPolicy, "promotion")
		b.settle(t)
		require.NoError(t, stop())
		clear(b.action.stopped)

		b.policy = newFakePolicy(t) // of a new process, which has not read it
		b.policy.lose()
		b.cfg.Policy = b.policy
		stop = b.start(t)
		<-time.After(5 * time.Second)
		require.Empty(t, b.action.stopped, "everybody was stopped, by no policy at all")
		require.NoError(t, stop())
	})
}

func TestAPurposeThatIsNewIsLookedUpBeforeItsEventIsParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		stop := b.start(t)
		b.settle(t)
		b.policy.publish(testpolicy.Version(t, "two", time.Now(), func(c *policy.Catalogue) {
			added := c.Purposes[4]
			added.Code, added.Name = 20, "newsletter"
			c.Purposes = append(c.Purposes, added)
		})) // and nobody has read it yet
		b.log.naming("newsletter")
		b.grant(t, 1, "two")
		b.settle(t)
		require.Empty(t, b.topics.of("consent.parked.v1"))
		require.True(t, b.answer(t, subject(t, 1), "newsletter").Allowed)

		b.log.naming("nobody-knows")
		b.decide(t, 1, events.Withdrawn, "")
		b.settle(t)
		require.Len(t, b.topics.of("consent.parked.v1"), 1)
		view, err := b.store.Lookup(context.Background(), subject(t, 1))
		require.NoError(t, err)
		require.True(t, view.Held)
		require.NoError(t, stop())
	})
}

func TestBeforeTheFirstVersionNothingIsAllowedAndWithdrawalsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.policy = newFakePolicy(t)
		b.cfg.Policy = b.policy
		stop := b.start(t)
		b.grant(t, 1, events.SeedPolicy, "promotion", "research")
		b.decide(t, 1, events.Withdrawn, "", "research")
		b.settle(t)
		require.Equal(t, events.PolicyUnknown, b.answer(t, subject(t, 1), "promotion").Reason)
		b.policy.publish(testpolicy.Seed(t))
		b.policy.follow()
		b.settle(t)
		require.True(t, b.answer(t, subject(t, 1), "promotion").Allowed)
		require.Equal(t, events.ByWithdrawal, b.answer(t, subject(t, 1), "research").Reason)
		require.NoError(t, stop())
	})
}

// sweepDies is a store whose owner dies after some buckets were swept.
type sweepDies struct {
	Store
	left atomic.Int64
}

func (d *sweepDies) Owe(ctx context.Context, p int32, epoch int64, subjects []cache.Kept, note cache.Sweep) error {
	if d.left.Add(-1) < 0 {
		return errors.New("dead")
	}
	return d.Store.Owe(ctx, p, epoch, subjects, note)
}

func TestACrashInTheMiddleOfASweepLeavesNobodyOut(t *testing.T) {
	const people = 100
	for steps := range int64(2 * testPartitions) {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t)
			promo, _ := b.rules.Set("promotion")
			stop := b.start(t)
			for n := range people {
				b.grant(t, n, events.SeedPolicy, "promotion")
			}
			b.settle(t)
			require.NoError(t, stop())

			dying := &sweepDies{Store: b.store}
			dying.left.Store(steps)
			b.cfg.Store = dying
			b.policy.publish(wider(t, "two", time.Now()))
			b.policy.follow()
			stop = b.start(t)
			<-time.After(time.Second)
			require.NoError(t, stop())

			// And the policy changes again before the next owner comes: who was swept has gone by
			// the second version, the others by the first.
			again := testpolicy.Version(t, "three", time.Now().Add(24*time.Hour), func(c *policy.Catalogue) {
				testpolicy.CoveredFrom(c, events.SeedPolicy)
				c.EffectiveOn = policy.DateOf(time.Now())
				c.PublishedOn = c.EffectiveOn
			})
			b.policy.publish(again)
			b.policy.follow()
			b.cfg.Store = b.store
			stop = b.start(t)
			b.settle(t)
			want := events.PurposeSet(0)
			if !b.answer(t, subject(t, 0), "promotion").Allowed {
				want = promo
			}
			for n := range people {
				require.Equal(t, want, b.action.of(subject(t, n)), "subject %d after %d steps", n, steps)
			}
			require.NoError(t, stop())
		})
	}
}

// gated is a store whose actor waits, while the gate is shut, before it notes
// anything.
type gated struct {
	Store
	gate atomic.Pointer[chan struct{}]
}

func (g *gated) shut() (open func()) {
	gate := make(chan struct{})
	g.gate.Store(&gate)
	return func() { g.gate.Store(nil); close(gate) }
}

func (g *gated) wait() {
	if gate := g.gate.Load(); gate != nil {
		<-*gate
	}
}

func (g *gated) Owe(ctx context.Context, p int32, epoch int64, subjects []cache.Kept, note cache.Sweep) error {
	g.wait()
	return g.Store.Owe(ctx, p, epoch, subjects, note)
}

func (g *gated) Done(ctx context.Context, p int32, epoch int64, acted []cache.Pending) (int64, error) {
	g.wait()
	return g.Store.Done(ctx, p, epoch, acted)
}

// A version stops somebody, who withdraws before the sweep comes by: by the version
// that changed nothing, and of the state that the sweep finds both editions say the
// same. Yet nobody was told.
func TestWithdrawalBeforeTheSweepComesByIsActedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		promo, _ := b.rules.Set("promotion")
		store := &gated{Store: b.store}
		b.cfg.Store = store
		stop := b.start(t)
		b.grant(t, 1, events.SeedPolicy, "promotion")
		b.settle(t)

		open := store.shut()
		b.policy.publish(wider(t, "two", time.Now()))
		b.policy.follow()
		synctest.Wait()
		b.decide(t, 1, events.Withdrawn, "", "promotion")
		synctest.Wait()
		open()
		b.settle(t)
		require.Equal(t, promo, b.action.of(subject(t, 1)), "withdrawn, and still in audiences")
		require.NoError(t, stop())
	})
}

// The actor is in the middle of a turn when the cache is flushed, and a version
// arrives before it was built again: what is built is nothing that the actor may
// act on by the edition that it knows.
func TestWhatIsBuiltAnewIsActedOnByNoEarlierEdition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		both, _ := b.rules.Set("promotion", "research")
		store := &gated{Store: b.store}
		b.cfg.Store = store
		stop := b.start(t)
		b.grant(t, 1, events.SeedPolicy, "promotion", "research")
		b.settle(t)

		open := store.shut()
		b.decide(t, 1, events.Withdrawn, "", "research")
		synctest.Wait()
		b.flush()
		b.policy.publish(wider(t, "two", time.Now()))
		b.policy.follow()
		<-time.After(2 * time.Second) // the reader has found out, and read the log again
		open()
		b.settle(t)
		require.Equal(t, both, b.action.of(subject(t, 1)), "asked again, and still in audiences")
		require.NoError(t, stop())
	})
}

// flushing is a store that loses everything when a partition is to be begun.
type flushing struct {
	Store
	flush func()
}

func (f *flushing) Begin(ctx context.Context, p int32, epoch, at int64) (cache.Mark, error) {
	if flush := f.flush; flush != nil {
		f.flush = nil
		flush()
	}
	return f.Store.Begin(ctx, p, epoch, at)
}

func TestFlushBetweenClaimAndBeginEndsNoConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.cfg.Store = &flushing{Store: b.store, flush: b.flush}
		stop := b.start(t)
		b.grant(t, 1, events.SeedPolicy, "promotion")
		b.settle(t)
		require.NoError(t, stop())
	})
}

// step is one thing that happens in the life of a service.
type step struct {
	kind     string
	version  int           // that arrives
	sleep    time.Duration // while it is stopped
	decided  []decision
	settling bool
}

type decision struct {
	who     int
	kind    events.Type
	under   events.PolicyVersion
	purpose events.Purpose
}

var decisions = rapid.Custom(func(t *rapid.T) decision {
	return decision{
		rapid.IntRange(0, 8).Draw(t, "who"),
		rapid.SampledFrom([]events.Type{events.Granted, events.Granted, events.Withdrawn, events.PolicyAccepted}).Draw(t, "type"),
		rapid.SampledFrom([]events.PolicyVersion{events.SeedPolicy, "two", "three", "nobody-published"}).Draw(t, "under"),
		rapid.SampledFrom([]events.Purpose{"promotion", "research"}).Draw(t, "purpose"),
	}
})

var steps = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
	return step{
		kind:    rapid.SampledFrom([]string{"arrive", "restart", "flush", "decide", "decide"}).Draw(t, "step"),
		version: rapid.IntRange(0, 2).Draw(t, "version"),
		sleep:   rapid.SampledFrom([]time.Duration{0, 0, time.Hour, 30 * time.Hour}).Draw(t, "sleep"),
		decided: rapid.SliceOfN(decisions, 1, 8).Draw(t, "decisions"), settling: rapid.Bool().Draw(t, "settling"),
	}
}), 1, 25)

// Whatever arrives in whatever order, with crashes and flushes in between: once
// settled, the cache answers and the service acted as the pure fold of the log
// says, by the versions that have arrived.
func TestPoliciesInAnyOrderNeverAllowWrongly(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2000, 1, n, 0, 0, 0, 0, time.UTC) }
	versions := []*policy.Catalogue{
		testpolicy.Seed(t),
		wider(t, "two", day(2)),
		testpolicy.Version(t, "three", day(2), func(c *policy.Catalogue) {
			testpolicy.CoveredFrom(c, events.SeedPolicy)
			c.EffectiveOn = policy.DateOf(day(4))
			testpolicy.Widen(c, "research")
		}),
	}
	rapid.Check(t, func(rt *rapid.T) {
		memory, life := rapid.SampledFrom([]int{0, 6}).Draw(rt, "memory"), steps.Draw(rt, "life")
		synctest.Test(t, func(t *testing.T) { // draws nothing: rapid's panics are not for it
			b := newBed(t)
			b.policy, b.cfg.Memory = newFakePolicy(t), memory
			b.cfg.Policy = b.policy
			b.live(t, life, versions)
		})
	})
}

// live goes through a life and holds its end against the pure functions.
func (b *bed) live(t *testing.T, life []step, versions []*policy.Catalogue) {
	stop, arrived := b.start(t), new(policy.Book)
	for _, s := range life {
		switch s.kind {
		case "arrive":
			b.policy.publish(versions[s.version])
			b.policy.follow()
			var err error
			arrived, err = arrived.With(versions[s.version])
			require.NoError(t, err)
		case "restart":
			require.NoError(t, stop()) // in the middle of whatever it does
			time.Sleep(s.sleep)
			b.policy.follow()
			stop = b.start(t)
		case "flush":
			b.flush()
		default:
			for _, d := range s.decided {
				b.decide(t, d.who, d.kind, d.under, d.purpose)
			}
		}
		if s.settling {
			b.settle(t)
		}
	}
	b.settle(t)
	require.NoError(t, stop())
	serves, err := b.rules.Set(b.cfg.Service.Purposes...)
	require.NoError(t, err)
	rules := arrived.RulesAt(time.Now())
	for s, state := range b.fold() {
		for _, p := range b.cfg.Service.Purposes {
			require.Equal(t, rules.Decide(state, p), b.answer(t, s, p), "%v %s", s, p)
		}
		require.Equal(t, rules.Standing(state).Stopped&serves, b.action.of(s)&serves, "acted on %v", s)
	}
}

// A withdrawal is folded while its grant's version is not known: stopped before and
// after, so nothing to do. The version arrives before the window is written, and by
// it the grant had stood: somebody may have acted on that.
func TestWhatWasFoldedByTheEditionBeforeIsActedOnWhateverThatSaid(t *testing.T) {
	b := newBed(t)
	c, err := New(b.cfg)
	require.NoError(t, err)
	r := &reader{Consumer: c, lane: newLane(), session: &fakeSession{log: b.log}, receipts: newReceipts(c), parts: make(map[int32]*partition), memory: 100}
	r.goBy(b.policy.Current())
	home := events.PartitionOf(subject(t, 1).Reveal(), testPartitions)
	require.NoError(t, r.claim(t.Context(), home))
	p := r.parts[home]
	read := func() {
		all := b.log.records[home]
		require.NoError(t, r.read(t.Context(), &stream.Fetch{Sent: time.Now(), Batches: []stream.Batch{{
			Partition: home, From: p.next, Records: all[p.next:], Next: int64(len(all)), LastStable: int64(len(all)),
		}}}))
	}
	seal := func() batch {
		all := r.window.close(r.due, r.edition, false)
		r.window = window{}
		require.Len(t, all, 1)
		return all[0]
	}
	b.grant(t, 1, "two", "promotion")
	read()
	require.True(t, seal().turned, "the first part announces the edition")

	b.decide(t, 1, events.Withdrawn, "", "promotion")
	read()
	b.policy.publish(wider(t, "two", time.Date(2000, 1, 2, 0, 0, 0, 0, time.UTC)))
	b.policy.follow()
	require.NoError(t, r.turn(t.Context()))
	sealed := seal()
	require.True(t, sealed.turned)
	require.Equal(t, b.policy.Current().Revision, sealed.Policy)
	require.Len(t, sealed.Changes, 1)
	require.True(t, sealed.Changes[0].Act)

	b.decide(t, 1, events.PolicyAccepted, "two")
	read()
	sealed = seal()
	require.False(t, sealed.turned)
	require.True(t, sealed.Changes[0].Act, "who was not swept yet was acted on by the edition before")

	p.even.Store(&even{p.epoch.Load(), r.edition}) // as the actor says when the sweep is over
	b.decide(t, 1, events.PolicyAccepted, "two")
	read()
	require.False(t, seal().Changes[0].Act, "nothing stopped or came back")
}
