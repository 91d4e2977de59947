package consumers

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/testpolicy"
)

// serving is an action that notes what it was told it acts on.
type serving struct {
	*fakeAction
	mu   sync.Mutex
	last Serving
}

func (a *serving) Act(ctx context.Context, at Slot, turns []Turn) error {
	a.mu.Lock()
	a.last = *at.Serves
	a.mu.Unlock()
	return a.fakeAction.Act(ctx, at, turns)
}

func (a *serving) told() Serving {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// letters is a version with a purpose that only the catalogue knows: code 20, for
// marketing to act on.
func letters(t testing.TB, name events.PolicyVersion, published time.Time) *policy.Catalogue {
	return testpolicy.Version(t, name, published, func(c *policy.Catalogue) {
		testpolicy.CoveredFrom(c, events.SeedPolicy)
		p := c.Purposes[3]
		p.Code, p.Name, p.CoveredFrom, p.Services = 20, "letters", "", []string{"marketing"}
		c.Purposes = append(c.Purposes, p)
	})
}

func TestAPurposeThatAVersionNamesTheServiceForIsActedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		action := &serving{fakeAction: b.action}
		b.cfg.Service.Action = action
		stop := b.start(t)
		b.grant(t, 1, events.SeedPolicy, "promotion")
		b.settle(t)

		b.policy.publish(letters(t, "two", time.Now()))
		b.policy.follow()
		b.settle(t)
		b.rules = b.policy.Current().Rules
		both, err := b.rules.Set("letters")
		require.NoError(t, err)
		b.grant(t, 1, "two", "letters")
		b.grant(t, 2, "two", "letters")
		b.settle(t)
		require.True(t, b.answer(t, subject(t, 1), "letters").Allowed)
		b.decide(t, 1, events.Withdrawn, "", "letters")
		b.settle(t)
		require.Equal(t, both, b.action.of(subject(t, 1)), "its action never came")
		require.Zero(t, b.action.of(subject(t, 2)))
		require.Contains(t, action.told().Purposes, events.Purpose("letters"))
		require.Contains(t, action.told().Codes, events.Code(20))
		require.Len(t, action.told().Codes, len(action.told().Purposes))
		require.NoError(t, stop())
	})
}

// A purpose that people decided about long ago is given to the service: whoever
// stopped it stands as before, and must be acted on all the same.
func TestWhoeverStoppedAPurposeBeforeTheServiceTookItOverIsActedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		taken, err := b.rules.Set("personalisation")
		require.NoError(t, err)
		stop := b.start(t)
		b.grant(t, 1, events.SeedPolicy, "personalisation")
		b.decide(t, 1, events.Withdrawn, "", "personalisation")
		b.settle(t)
		require.Zero(t, b.action.of(subject(t, 1)), "targeting acts on it")

		b.policy.publish(testpolicy.Version(t, "two", time.Now(), func(c *policy.Catalogue) {
			testpolicy.CoveredFrom(c, events.SeedPolicy)
			c.Purposes[8].Services = []string{"marketing", "targeting"}
		}))
		b.policy.follow()
		b.settle(t)
		require.Equal(t, taken, b.action.of(subject(t, 1)))
		require.NoError(t, stop())
	})
}

// As TestPoliciesInAnyOrderNeverAllowWrongly, over versions that turn a purpose into
// law and back, drop another, and name the service for one more.
func TestPoliciesOfWhateverBasisInAnyOrderNeverAllowWrongly(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2000, 1, n, 0, 0, 0, 0, time.UTC) }
	versions := []*policy.Catalogue{
		testpolicy.Seed(t),
		testpolicy.Version(t, "two", day(2), func(c *policy.Catalogue) {
			c.EffectiveOn = policy.DateOf(day(4))
			c.Purposes[3].Basis, c.Purposes[3].Withdrawable = events.Law, events.No // promotion
			c.Purposes = append(c.Purposes[:10], c.Purposes[11:]...)                // research
		}),
		testpolicy.Version(t, "three", day(2), func(c *policy.Catalogue) {
			testpolicy.CoveredFrom(c, events.SeedPolicy)
			c.EffectiveOn = policy.DateOf(day(5))
			c.Purposes[8].Services = []string{"marketing"} // personalisation
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
