package guard

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/testpolicy"
)

// outdated are two versions, of which the second asks for more of promotion and
// has a purpose more.
func outdated(t *testing.T) (first, both cache.Policies) {
	seed := testpolicy.Seed(t)
	two := testpolicy.Version(t, "two", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), func(c *policy.Catalogue) {
		testpolicy.CoveredFrom(c, events.SeedPolicy)
		testpolicy.Widen(c, "promotion")
		added := c.Purposes[4]
		added.Code, added.Name, added.CoveredFrom = 20, "newsletter", ""
		c.Purposes = append(c.Purposes, added)
	})
	return published(t, seed), published(t, seed, two)
}

// patientGuard is for tests that are about answers, and not about waiting.
func patientGuard(f *fake) *Guard { return build(f, []Option{WithDeadline(time.Minute)}) }

func TestGuardWithAnOldBookReadsTheNewOneOnce(t *testing.T) {
	first, both := outdated(t)
	f := newFake(t)
	g := patientGuard(f)
	for range 3 {
		require.True(t, g.Check(t.Context(), someone(t), "promotion").Allowed)
	}
	require.Equal(t, 1, f.reads, "read when it was first named")
	require.Equal(t, events.UnknownPurpose, g.Check(t.Context(), someone(t), "newsletter").Reason)

	f.policies, f.view.Policy = both, both.Revision
	require.Equal(t, events.NeverGranted, g.Check(t.Context(), someone(t), "newsletter").Reason, "an old book does not know it")
	d := g.Check(t.Context(), someone(t), "promotion")
	require.Equal(t, events.PolicyOutdated, d.Reason)
	require.Equal(t, events.Consent, d.Basis)
	require.Equal(t, 2, f.reads)

	f.view.Policy = first.Revision // another partition, whose consumer does not know of it yet
	require.Equal(t, events.PolicyOutdated, g.Check(t.Context(), someone(t), "promotion").Reason, "it went back to the old policy")
	require.Equal(t, 2, f.reads)
}

func TestGuardThatCannotLearnThePolicyDenies(t *testing.T) {
	_, both := outdated(t)
	for name, spoil := range map[string]func(f *fake){
		"another revision is there": func(f *fake) {},
		"nothing is there":          func(f *fake) { f.policies = cache.Policies{} },
		"redis does not answer":     func(f *fake) { f.policyErr = errors.New("away") },
		"it is not to be read":      func(f *fake) { f.policies = cache.Policies{Revision: both.Revision, Catalogues: "[{}]"} },
		"the position names none":   func(f *fake) { f.view.Policy = "" },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			g := patientGuard(f)
			require.True(t, g.Check(t.Context(), someone(t), "promotion").Allowed)
			f.view.Policy = both.Revision
			spoil(f)
			for _, purpose := range []events.Purpose{"promotion", "legal", "sell-it"} {
				d := g.Check(t.Context(), someone(t), purpose)
				require.Equal(t, events.Stale, d.Reason)
				require.ErrorIs(t, d.Cause, errPolicy)
			}
		})
	}
}

func TestAPolicyThatIsNotThereIsNotAskedForByEveryCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, both := outdated(t)
		f := newFake(t)
		f.policies = cache.Policies{}
		g := patientGuard(f)
		for range 1000 {
			require.Equal(t, events.Stale, g.Check(t.Context(), someone(t), "promotion").Reason)
		}
		require.Equal(t, 1, f.reads)
		time.Sleep(rereadEvery) // by the bubble's clock
		f.policies, f.view.Policy = both, both.Revision
		require.True(t, g.Check(t.Context(), someone(t), "legal").Allowed, "as soon as it is there")
		require.Equal(t, 2, f.reads)
	})
}

func TestPoliciesThatAFailoverTookBackAreKept(t *testing.T) {
	first, both := outdated(t)
	f := newFake(t)
	g := patientGuard(f)
	f.policies, f.view.Policy = both, both.Revision
	require.Equal(t, events.PolicyOutdated, g.Check(t.Context(), someone(t), "promotion").Reason)
	f.policies, f.view.Policy = first, "0123456789abcdef"
	require.Equal(t, events.Stale, g.Check(t.Context(), someone(t), "promotion").Reason)
	f.view.Policy = both.Revision
	require.Equal(t, events.PolicyOutdated, g.Check(t.Context(), someone(t), "promotion").Reason)
}

func TestAVersionPublishedAheadCountsFromItsDayByRedisClock(t *testing.T) {
	next := testpolicy.Version(t, "two", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), func(c *policy.Catalogue) {
		c.EffectiveOn = policy.DateOf(time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC))
	})
	f := newFake(t)
	f.policies = published(t, testpolicy.Seed(t), next)
	f.view.Policy = f.policies.Revision
	at := func(moment time.Time) events.Answer {
		f.view.Now = events.MillisOf(moment)
		f.view.Fresh = f.view.Now - 100
		return patientGuard(f).Check(t.Context(), someone(t), "promotion").Answer
	}
	require.True(t, at(next.EffectiveOn.Start().Add(-time.Millisecond)).Allowed)
	require.Equal(t, events.PolicyOutdated, at(next.EffectiveOn.Start()).Reason)
}

func TestManyChecksAskForTheNewPolicyTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		var reads sync.Mutex
		count := 0
		s := newShelf(nil)
		s.read = func(ctx context.Context) (cache.Policies, error) {
			reads.Lock()
			count++
			reads.Unlock()
			select {
			case <-time.After(10 * time.Millisecond):
				return f.policies, nil
			case <-ctx.Done():
				return cache.Policies{}, ctx.Err()
			}
		}
		leaving, leave := context.WithTimeout(t.Context(), time.Minute)
		var all sync.WaitGroup
		for i := range 50 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if i == 0 {
				ctx = leaving
			}
			all.Go(func() {
				defer cancel()
				book, err := s.book(ctx, f.policies.Revision)
				if ctx != leaving {
					require.NoError(t, err, "one that leaves takes the others with it")
					require.Len(t, book.Versions(), 1)
				}
			})
			synctest.Wait()
		}
		leave()
		all.Wait()
		require.Equal(t, 1, count)
	})
}
