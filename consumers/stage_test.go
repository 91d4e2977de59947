package consumers

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

// barrier ends, or opens, a partition of the log.
func (b *bed) barrier(p int32, to events.Stage) {
	b.log.tellIn(p, events.Event{
		Type: events.LogBarrier, Decided: 1, Barrier: events.Barrier{Generation: b.cfg.Generation, Partition: p, Stage: to},
	})
}

// of returns the n-th subject of a partition.
func of(t testing.TB, p int32, n int) events.Subject {
	for i := 0; ; i++ {
		s := subject(t, i)
		if events.PartitionOf(s.Reveal(), testPartitions) != p {
			continue
		}
		if n--; n < 0 {
			return s
		}
	}
}

func (b *bed) decided(t testing.TB, kind events.Type, s events.Subject, at events.Millis) events.Event {
	set, err := b.rules.Set("promotion")
	require.NoError(t, err)
	return events.Event{
		Method: events.ByPerson, Policy: events.SeedPolicy, ID: at.Time().String(), Source: "/web", Type: kind, Subject: s, Decided: at, Purposes: set,
	}
}

func (b *bed) reasons() (all []string) {
	for _, m := range b.topics.of("consent.parked.v1") {
		for _, h := range m.Headers {
			if h.Key == HeaderParkedReason {
				all = append(all, string(h.Value))
			}
		}
	}
	return all
}

// Behind the barrier nothing is folded, by this owner or the next: it is kept aside,
// and what restricts holds its subject. Guards are still answered: the partition
// stays fresh.
func TestNothingBehindABarrierIsFolded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		for p := range int32(testPartitions) {
			b.log.tell(b.decided(t, events.Granted, of(t, p, 0), 1000))
			b.log.tell(b.decided(t, events.Granted, of(t, p, 1), 1000))
		}
		b.barrier(1, events.StageEnded)
		b.log.tell(b.decided(t, events.Withdrawn, of(t, 1, 0), 9000)) // of a producer that was not stopped
		b.log.tell(b.decided(t, events.Withdrawn, of(t, 2, 0), 9000))
		stop := b.start(t)
		b.waitCaughtUp(t)
		require.NoError(t, stop())
		stop = b.start(t)
		b.log.tell(b.decided(t, events.Granted, of(t, 1, 2), 9000))
		b.waitCaughtUp(t)
		require.Equal(t, []string{events.ReasonBehindBarrier, events.ReasonBehindBarrier}, b.reasons())
		require.Equal(t, events.StageEnded, b.mark(1).Stage)
		require.Equal(t, events.StageOpen, b.mark(2).Stage)

		look := func(p int32, n int) (bool, bool) {
			view, err := b.store.Lookup(context.Background(), of(t, p, n))
			require.NoError(t, err)
			return b.rules.Decide(view.State, "promotion").Allowed, view.Held
		}
		allowed, held := look(1, 0)
		require.True(t, allowed, "its state is that of the barrier")
		require.True(t, held, "and nobody acts by it")
		allowed, held = look(1, 1)
		require.True(t, allowed && !held)
		allowed, held = look(1, 2)
		require.False(t, allowed || held, "a grant behind the barrier changes nothing")
		allowed, _ = look(2, 0)
		require.False(t, allowed, "the others go on")

		<-time.After(5 * time.Second) // of the bubble's own clock
		require.Less(t, events.MillisOf(time.Now())-b.mark(1).Fresh, events.Millis(3000), "fresh enough for guards")
		require.NoError(t, stop())
	})
}

// A generation begins with the states of the one before, and counts decisions once
// it is open.
func TestGenerationBeginsWithWhatIsCarriedIntoIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		gone, stays, early := of(t, 0, 0), of(t, 0, 1), of(t, 0, 2)
		before := make(map[events.Subject]events.State)
		for _, s := range []events.Subject{gone, stays, early} {
			e := b.decided(t, events.Granted, s, 1000)
			e.Logged = events.Stamp{Position: events.Position{Generation: 1, Offset: 900}, Appended: 1000}
			before[s], _ = b.rules.Apply(events.State{}, &e)
		}
		e := b.decided(t, events.Withdrawn, gone, 2000)
		e.Logged = events.Stamp{Position: events.Position{Generation: 1, Offset: 901}, Appended: 2000}
		before[gone], _ = b.rules.Apply(before[gone], &e)

		layout := testLayout
		layout.Generation = 2
		store, err := cache.NewMemory(layout, nil)
		require.NoError(t, err)
		b.store, b.cfg.Store, b.cfg.Generation, b.cfg.Service.EveryChange = store, store, 2, true
		carry := func(s events.Subject) {
			b.log.tell(events.Event{Type: events.StateCarried, Subject: s, Decided: 1, Carried: before[s]})
		}
		b.barrier(0, events.StageOpening)
		carry(gone)
		b.log.tell(b.decided(t, events.Withdrawn, early, 3000)) // nobody may yet
		carry(stays)
		stop := b.start(t)
		b.waitCaughtUp(t)
		require.NoError(t, stop()) // as when it was interrupted
		stop = b.start(t)
		carry(early)
		carry(stays)
		b.barrier(0, events.StageOpen)
		b.log.tell(b.decided(t, events.Granted, gone, 1000)) // a late copy of what was withdrawn
		b.log.tell(b.decided(t, events.Withdrawn, stays, 4000))
		b.log.tell(events.Event{Type: events.StateCarried, Subject: stays, Decided: 1, Carried: before[stays]})
		b.waitCaughtUp(t)
		require.NoError(t, stop())

		require.Equal(t, []string{events.ReasonBeforeOpening, events.ReasonCarriedLate}, b.reasons())
		for s, want := range map[events.Subject]struct{ allowed, held bool }{
			gone: {false, false}, stays: {false, false}, early: {true, true},
		} {
			view, err := b.store.Lookup(context.Background(), s)
			require.NoError(t, err)
			require.Equal(t, want.allowed, b.rules.Decide(view.State, "promotion").Allowed, "%v", s)
			require.Equal(t, want.held, view.Held, "%v", s)
			version, _ := view.State.Version()
			require.Equal(t, uint32(2), version.Generation)
			require.Equal(t, b.rules.Standing(view.State).Stopped, b.action.of(s), "acted on %v", s)
		}
	})
}

// A barrier that has no place where it stands, as one that a mirror copied, stops
// nobody.
func TestBarrierOfAnotherPartitionTurnsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		s := of(t, 1, 0)
		b.log.tell(b.decided(t, events.Granted, s, 1000))
		for _, other := range []events.Barrier{
			{Generation: 1, Partition: 2, Stage: events.StageEnded}, {Generation: 2, Partition: 1, Stage: events.StageEnded},
			{Generation: 1, Partition: 1, Stage: events.StageOpening}, {Generation: 1, Partition: 1, Stage: events.StageOpen},
		} {
			b.log.tellIn(1, events.Event{Type: events.LogBarrier, Decided: 1, Barrier: other})
		}
		b.log.tell(b.decided(t, events.Withdrawn, s, 9000))
		stop := b.start(t)
		b.waitCaughtUp(t)
		require.NoError(t, stop())
		view, err := b.store.Lookup(context.Background(), s)
		require.NoError(t, err)
		require.False(t, b.rules.Decide(view.State, "promotion").Allowed)
		require.Len(t, b.reasons(), 4)
	})
}

// Who takes over acts on what the outbox holds. A subject whose state changes
// meanwhile, by what asks for no action, is acted on once more, and not forgotten.
func TestOutboxIsEmptiedThoughStatesChangeMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		s := of(t, 1, 0)
		b.log.tell(b.decided(t, events.Granted, s, 1000))
		b.log.tell(b.decided(t, events.Withdrawn, s, 9000))
		b.action.fail = func() error { return errors.New("not now") }
		stop := b.start(t)
		require.Eventually(t, func() bool { return b.mark(1).Next == 2 }, time.Minute, 10*time.Millisecond)
		require.NoError(t, stop())
		require.Less(t, b.mark(1).Acted, int64(2))

		changed := false
		b.action.fail = func() error {
			if !changed {
				changed = true
				e := b.decided(t, events.PolicyAccepted, s, 20_000)
				e.Purposes = 0
				b.log.tell(e)
				for b.mark(1).Next < 3 {
					<-time.After(time.Millisecond) // of the bubble's own clock
				}
			}
			return nil
		}
		stop = b.start(t)
		b.waitCaughtUp(t)
		require.NoError(t, stop())
	})
}
