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
	"github.com/kelisim/kelisim/events/stream"
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

// The cache stands elsewhere, and exactly where an answer begins that is under way:
// it is folded, and the answer to the seek, which begins there too and reaches
// further, must not be skipped whole.
func TestAnswerThatReachesFurtherThanTheOneBeforeIsReadOn(t *testing.T) {
	b := newBed(t)
	s := subject(t, 0)
	id := events.PartitionOf(s.Reveal(), testPartitions)
	b.story(t, rand.New(rand.NewPCG(3, 4)), 30, 1)
	c, err := New(b.cfg)
	require.NoError(t, err)
	p := &partition{id: id, lag: c.metrics.lagOf(id)}
	p.begin(cache.Mark{Known: true, Next: 10}, 100, true)
	r := &reader{Consumer: c, lane: newLane(), session: &fakeSession{log: b.log, at: make(map[int32]int64)}, receipts: newReceipts(c), parts: map[int32]*partition{id: p}}
	answer := func(from, next int64) *stream.Fetch {
		return &stream.Fetch{Sent: time.Now(), Batches: []stream.Batch{{Partition: id, From: from, Next: next, LastStable: 30, Records: b.log.records[id][from:next]}}}
	}
	for _, step := range []struct{ from, next, want int64 }{{10, 18, 18}, {20, 25, 18}, {10, 23, 23}, {15, 20, 23}, {23, 30, 30}} {
		require.NoError(t, r.read(t.Context(), answer(step.from, step.next)))
		require.Equal(t, step.want, p.next)
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
