package consumers

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/testpolicy"
)

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
			<-time.After(s.sleep)      // of the bubble's own clock
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
