package consumers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

// story tells n events of few subjects, of all kinds that fold.
func (b *bed) story(t testing.TB, rnd *rand.Rand, n, subjects int) {
	all := b.rules.All()
	kinds := []events.Type{events.Granted, events.Granted, events.Withdrawn, events.WithdrawalRequested, events.Blocked, events.Unblocked, events.PolicyAccepted, events.AgreementStarted}
	for i := range n {
		b.log.tell(events.Event{
			Method: events.ByPerson, Policy: events.SeedPolicy, ID: fmt.Sprint("e", len(b.log.told)+i), Source: "/web", Type: kinds[rnd.IntN(len(kinds))],
			Subject: subject(t, rnd.IntN(subjects)), Decided: events.Millis(1_000_000 + 1000*(len(b.log.told)+i)),
			Purposes: events.PurposeSet(rnd.Uint64()) & all,
		})
	}
}

// requireFolded holds the cache against the pure fold, subject by subject.
func (b *bed) requireFolded(t testing.TB) {
	t.Helper()
	serves, err := b.rules.Set(b.cfg.Service.Purposes...)
	require.NoError(t, err)
	for s, want := range b.fold() {
		view, err := b.store.Lookup(context.Background(), s)
		require.NoError(t, err)
		require.Equal(t, want, view.State, "%v", s)
		require.Equal(t, b.rules.Standing(want).Stopped&serves, b.action.of(s)&serves, "acted on %v", s)
	}
}

func (b *bed) waitCaughtUp(t testing.TB) {
	t.Helper()
	for range 10_000 {
		synctest.Wait()
		if b.caughtUp(t) {
			return
		}
		<-time.After(10 * time.Millisecond) // of the bubble's own clock
	}
	t.Fatal("never caught up")
}

func TestCacheEndsAsThePureFold(t *testing.T) {
	for _, memory := range []int{0, 12} { // all in memory; hardly any, so that states are asked for
		t.Run(fmt.Sprint("memory ", memory), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t)
				b.cfg.Memory = memory
				rnd := rand.New(rand.NewPCG(1, 2))
				b.story(t, rnd, 500, 40)
				stop := b.start(t)
				for range 20 {
					b.story(t, rnd, 30, 40)
					<-time.After(time.Duration(rnd.IntN(3)) * time.Millisecond)
				}
				b.waitCaughtUp(t)
				b.requireFolded(t)
				require.NoError(t, stop())
			})
		})
	}
}

// Several events of a subject are one change of the cache. Until that is acted on
// nothing from the first of them on is, whatever the receipts would like.
func TestNothingCountsAsActedFromTheFirstOfSeveralChangesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.cfg.Service.EveryChange = true
		b.action.fail = func() error { return errors.New("not now") }
		rnd := rand.New(rand.NewPCG(9, 9))
		b.story(t, rnd, 100, 1)
		stop := b.start(t)
		p := events.PartitionOf(subject(t, 0).Reveal(), testPartitions)
		for b.mark(p).Next < b.log.end()[p] {
			<-time.After(10 * time.Millisecond)
		}
		require.Zero(t, b.mark(p).Acted)
		require.NoError(t, stop())
	})
}

func TestServiceOfEveryChangeIsHandedEveryNewestState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.cfg.Service.EveryChange = true
		stop := b.start(t)
		b.story(t, rand.New(rand.NewPCG(5, 6)), 400, 40)
		b.waitCaughtUp(t)
		for s, want := range b.fold() {
			require.Equal(t, want, b.action.states[s.Reveal()], "%v", s)
		}
		require.NoError(t, stop())
	})
}

func TestCrashAnywhereLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		rnd := rand.New(rand.NewPCG(3, 4))
		b.story(t, rnd, 300, 25)
		for crash := 1; crash < 60; crash++ {
			b.story(t, rnd, 10, 25)
			dying := &dyingStore{Store: b.store}
			dying.left.Store(int64(crash % 23))
			b.cfg.Store = dying
			dying.stop = b.start(t)
			synctest.Wait()
			<-time.After(5 * time.Millisecond)
			_ = dying.stop()
		}
		b.cfg.Store = b.store
		stop := b.start(t)
		b.waitCaughtUp(t)
		b.requireFolded(t)
		require.NoError(t, stop())
	})
}

// dyingStore works for some calls and then not at all, before or after the call.
type dyingStore struct {
	Store
	left atomic.Int64
	stop func() error
}

var errDead = errors.New("the store is dead")

func (d *dyingStore) dead() bool {
	return d.left.Add(-1) <= 0
}

func (d *dyingStore) Write(ctx context.Context, batches []cache.Batch) []cache.Result {
	out := make([]cache.Result, len(batches))
	if d.left.Load()%2 == 0 && d.dead() {
		for i := range out {
			out[i].Err = errDead
		}
		return out
	}
	out = d.Store.Write(ctx, batches)
	if d.dead() {
		for i := range out {
			out[i].Err = errDead // it was written, but nobody heard
		}
	}
	return out
}

func (d *dyingStore) Done(ctx context.Context, p int32, epoch int64, acted []cache.Pending) (int64, error) {
	if d.dead() {
		return 0, errDead
	}
	return d.Store.Done(ctx, p, epoch, acted)
}

func TestPoisonIsParkedAndHoldsItsSubjectOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		promo, _ := b.rules.Set("promotion")
		grant := func(n int) events.Event {
			return events.Event{Method: events.ByPerson, Policy: events.SeedPolicy, ID: fmt.Sprint(n), Source: "/web", Type: events.Granted, Subject: subject(t, n), Purposes: promo, Decided: 1_000_000}
		}
		for n := range 20 {
			b.log.tell(grant(n))
		}
		bad := b.log.tell(events.Event{Method: events.ByPerson, Subject: subject(t, 7), Decided: 2_000_000})
		for n := 20; n < 40; n++ {
			b.log.tell(grant(n))
		}
		stop := b.start(t)
		b.waitCaughtUp(t)
		for n := range 40 {
			view, err := b.store.Lookup(context.Background(), subject(t, n))
			require.NoError(t, err)
			require.Equal(t, n == 7, view.Held, "subject %d", n)
			require.False(t, view.State.IsZero())
		}
		kept := b.topics.of("consent.parked.v1")
		require.Len(t, kept, 1)
		require.Equal(t, b.log.records[bad.Position.Partition][bad.Position.Offset].Value, kept[0].Value)
		require.Equal(t, bad.Position.String(), string(kept[0].Headers[0].Value))
		require.Equal(t, "test-poison", string(kept[0].Headers[2].Value))

		mended := grant(7)
		mended.ID, mended.First = "mended", bad
		b.log.tell(mended)
		b.waitCaughtUp(t)
		view, err := b.store.Lookup(context.Background(), subject(t, 7))
		require.NoError(t, err)
		require.False(t, view.Held, "redriven")
		require.NoError(t, stop())
	})
}

// An upstream refresh of everybody must not deny everybody everything.
func TestAPermissionOfLesserTrustIsParkedAndHoldsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		promo, _ := b.rules.Set("promotion")
		grant := func(id string, by events.Method, at events.Millis) events.Event {
			return events.Event{
				Method: by, Policy: events.SeedPolicy, ID: id, Source: "/web", Type: events.Granted, Subject: subject(t, 1),
				Purposes: promo, Decided: at,
			}
		}
		b.log.tell(grant("person", events.ByPerson, 1_000_000))
		b.log.tell(grant("refresh", events.ByImport, 2_000_000))
		stop := b.start(t)
		b.waitCaughtUp(t)
		view, err := b.store.Lookup(context.Background(), subject(t, 1))
		require.NoError(t, err)
		require.False(t, view.Held)
		require.True(t, b.rules.Decide(view.State, "promotion").Allowed, "what the person said stands")
		kept := b.topics.of("consent.parked.v1")
		require.Len(t, kept, 1)
		require.Equal(t, events.ReasonTrust, string(kept[0].Headers[2].Value))
		require.NoError(t, stop())
	})
}

func TestPositionWaitsForTheParkedTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		var up atomic.Bool
		b.topics.fail = func(topic string) error {
			if !up.Load() && topic == "consent.parked.v1" {
				return errors.New("parked topic is down")
			}
			return nil
		}
		bad := b.log.tell(events.Event{Method: events.ByPerson, Subject: subject(t, 7), Decided: 2_000_000})
		stop := b.start(t)
		<-time.After(3 * time.Second)
		require.Zero(t, b.mark(bad.Position.Partition).Next, "moved past an event that nobody keeps")
		up.Store(true)
		b.waitCaughtUp(t)
		require.NoError(t, stop())
	})
}

func TestFlushedCacheIsBuiltAgainByTheRunningConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		rnd := rand.New(rand.NewPCG(5, 6))
		b.story(t, rnd, 400, 30)
		stop := b.start(t)
		b.waitCaughtUp(t)
		b.flush()
		view, err := b.store.Lookup(context.Background(), subject(t, 1))
		require.NoError(t, err)
		require.False(t, view.Known)
		b.waitCaughtUp(t) // without a new event: freshness alone finds the gap
		b.requireFolded(t)
		b.story(t, rnd, 50, 30)
		b.flush()
		b.waitCaughtUp(t)
		b.requireFolded(t)
		require.NoError(t, stop())
	})
}

func TestMisplacedWithdrawalDeniesAndMisplacedGrantWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		promo, _ := b.rules.Set("promotion")
		for n, typ := range []events.Type{events.Withdrawn, events.Granted} {
			home := events.PartitionOf(subject(t, n).Reveal(), testPartitions)
			b.log.tellIn((home+1)%testPartitions, events.Event{Method: events.ByPerson, Policy: events.SeedPolicy, ID: "m", Source: "/web", Type: typ, Subject: subject(t, n), Purposes: promo, Decided: 1_000_000})
		}
		stop := b.start(t)
		b.waitCaughtUp(t)
		withdrawn, err := b.store.Lookup(context.Background(), subject(t, 0))
		require.NoError(t, err)
		require.True(t, withdrawn.Held)
		granted, err := b.store.Lookup(context.Background(), subject(t, 1))
		require.NoError(t, err)
		require.False(t, granted.Held)
		require.True(t, granted.State.IsZero())
		require.Len(t, b.topics.of("consent.parked.v1"), 2)
		require.NoError(t, stop())
	})
}

func TestEventsWithoutTheBrokersTimeAreParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		promo, _ := b.rules.Set("promotion")
		at := b.log.tell(events.Event{Method: events.ByPerson, Policy: events.SeedPolicy, ID: "g", Source: "/web", Type: events.Granted, Subject: subject(t, 1), Purposes: promo, Decided: 1_000_000})
		b.log.records[at.Position.Partition][0].LogAppend = false
		stop := b.start(t)
		b.waitCaughtUp(t)
		view, err := b.store.Lookup(context.Background(), subject(t, 1))
		require.NoError(t, err)
		require.True(t, view.Held)
		require.True(t, view.State.IsZero())
		require.Len(t, b.topics.of("consent.parked.v1"), 1)
		require.NoError(t, stop())
	})
}

func TestFarBehindOneWriteCoversManyEventsOfASubject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.log.perPoll = 10_000
		promo, _ := b.rules.Set("promotion")
		const n = farBehind + 20_000
		for i := range n {
			kind := [...]events.Type{events.Granted, events.Withdrawn}[i/100%2]
			b.log.tell(events.Event{Method: events.ByPerson, Policy: events.SeedPolicy, ID: fmt.Sprint(i), Source: "/web", Type: kind, Subject: subject(t, i%100), Purposes: promo, Decided: events.Millis(1_000_000 + i)})
		}
		counting := &countingStore{Store: b.store}
		b.cfg.Store = counting
		stop := b.start(t)
		b.waitCaughtUp(t)
		b.requireFolded(t)
		require.Less(t, counting.changes.Load(), int64(n/2), "states written for %d events", n)
		require.NoError(t, stop())
	})
}

// countingStore counts the states written.
type countingStore struct {
	Store
	changes atomic.Int64
}

func (c *countingStore) Write(ctx context.Context, batches []cache.Batch) []cache.Result {
	for i := range batches {
		c.changes.Add(int64(len(batches[i].Changes)))
	}
	return c.Store.Write(ctx, batches)
}

func TestIdlePartitionsStayFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		stop := b.start(t)
		<-time.After(30 * time.Second)
		for p := range int32(testPartitions) {
			require.Less(t, time.Since(b.mark(p).Fresh.Time()), 2*time.Second, "partition %d", p)
		}
		require.NoError(t, stop())
	})
}

func TestAFencedConsumerJoinsAnewAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		rnd := rand.New(rand.NewPCG(7, 8))
		b.story(t, rnd, 50, 10)
		stop := b.start(t)
		b.waitCaughtUp(t)
		other, err := b.store.Claim(context.Background(), 0)
		require.NoError(t, err)
		b.story(t, rnd, 50, 10)
		<-time.After(500 * time.Millisecond)
		require.Less(t, b.mark(0).Next, b.log.end()[0], "wrote to a partition that another one owns")
		b.waitCaughtUp(t)
		b.requireFolded(t)
		require.Greater(t, b.mark(0).Epoch, other.Epoch)
		require.NoError(t, stop())
	})
}

func TestActionIsCalledAgainUntilItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		calls := 0
		b.action.fail = func() error {
			if calls++; calls < 5 {
				return RetryAfter(errors.New("the send queue is busy"), 200*time.Millisecond)
			}
			return nil
		}
		promo, _ := b.rules.Set("promotion")
		began := time.Now()
		b.log.tell(events.Event{Method: events.ByPerson, Policy: events.SeedPolicy, ID: "w", Source: "/web", Type: events.Withdrawn, Subject: subject(t, 1), Purposes: promo, Decided: 1_000_000})
		stop := b.start(t)
		b.waitCaughtUp(t)
		require.Equal(t, promo, b.action.of(subject(t, 1)))
		require.GreaterOrEqual(t, time.Since(began), 800*time.Millisecond, "waited as long as the action asked")
		require.NoError(t, stop())
	})
}

func TestRoundsOfActingAreKeptApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		promo, _ := b.rules.Set("promotion")
		stop := b.start(t)
		b.waitCaughtUp(t)
		const n = 200
		began := time.Now()
		for i := range n {
			b.log.tell(events.Event{Method: events.ByPerson, ID: fmt.Sprint(i), Source: "/web", Type: events.Withdrawn, Subject: subject(t, i), Purposes: promo, Decided: events.Millis(1_000_000 + i)})
			<-time.After(time.Millisecond)
		}
		b.waitCaughtUp(t)
		b.requireFolded(t)
		rounds := int(time.Since(began)/actPause) + 1
		require.LessOrEqual(t, b.action.acts, rounds*testPartitions, "calls of the action")
		require.Less(t, rounds*testPartitions, n)
		require.NoError(t, stop())
	})
}
