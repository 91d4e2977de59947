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

	"github.com/kelisim/kelisim/events"
)

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

// Nobody knows which of the two was meant: the key is one person's, and the event names
// another, who may live in another partition.
func TestWhatCannotBeReadHoldsWhomItsKeySaysAndWhomItNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		said := map[events.Subject]events.Subject{of(t, 0, 0): of(t, 0, 1), of(t, 0, 2): of(t, 1, 0)} // by key
		for keyed, named := range said {
			at := b.log.tellIn(0, events.Event{Subject: named, Decided: 2_000_000})
			b.log.records[0][at.Position.Offset].Key = []byte(keyed.Reveal())
		}
		stop := b.start(t)
		b.waitCaughtUp(t)
		for keyed, named := range said {
			for _, s := range []events.Subject{keyed, named} {
				view, err := b.store.Lookup(t.Context(), s)
				require.NoError(t, err)
				require.True(t, view.Held, "%v", s)
			}
		}
		view, err := b.store.Lookup(t.Context(), of(t, 1, 1))
		require.NoError(t, err)
		require.False(t, view.Held)
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
