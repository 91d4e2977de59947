package consumers

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/testpolicy"
)

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
