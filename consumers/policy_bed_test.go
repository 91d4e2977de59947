package consumers

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
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
