package consumers

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/testpolicy"
)

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
		<-time.After(time.Until(ahead.EffectiveOn.Start()) - time.Second) // of the bubble's own clock
		stop = b.start(t)
		b.settle(t)
		require.Zero(t, b.action.of(subject(t, 1)))
		<-time.After(time.Second)
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
