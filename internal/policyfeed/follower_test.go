package policyfeed_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/policyfeed"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testpolicy"
)

const patience = 30 * time.Second

// follow runs a follower until the test ends.
func follow(t *testing.T, addrs []string, topic string, now func() time.Time, reg prometheus.Registerer) *policyfeed.Follower {
	t.Helper()
	f, err := policyfeed.New(policyfeed.Config{
		Kafka: stream.Config{Brokers: addrs}, Topic: topic, Now: now, Metrics: policyfeed.NewMetrics(reg),
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return f
}

func TestEveryPublishedVersionIsKnownOnceCaughtUp(t *testing.T) {
	broker := testenv.Kafka(t)
	topic := testpolicy.NewTopic(t, broker, policy.Seed())
	f := follow(t, broker.Addrs(), topic, nil, nil)
	require.NoError(t, f.CatchUp(t.Context()))
	first := f.Current()
	require.Len(t, first.Book.Versions(), 1)
	require.False(t, f.Proved().IsZero())

	next := testpolicy.Version(t, "2030-01", time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), nil)
	_, known := f.Appended(next.Version)
	require.False(t, known)
	testpolicy.Publish(t, broker, topic, next)
	require.NoError(t, f.CatchUp(t.Context()))
	at, known := f.Appended(next.Version)
	require.True(t, known)
	require.WithinDuration(t, time.Now(), at, time.Minute, "by the broker's clock, not as the catalogue says")
	testpolicy.Publish(t, broker, topic, next)
	require.NoError(t, f.CatchUp(t.Context()))
	again, _ := f.Appended(next.Version)
	require.Equal(t, at, again, "a copy changes nothing")
	require.Len(t, f.Current().Book.Versions(), 2)
	select {
	case <-f.Superseded(first):
	default:
		t.Fatal("whoever goes by the first edition was not told")
	}
	select {
	case <-f.Superseded(f.Current()):
		t.Fatal("nothing superseded the current edition")
	default:
	}
}

func TestBeforeAnyVersionTheSeedsPurposesAreKnownAndNothingIsCovered(t *testing.T) {
	broker := testenv.Kafka(t)
	f := follow(t, broker.Addrs(), testpolicy.NewTopic(t, broker), nil, nil)
	require.NoError(t, f.CatchUp(t.Context()))
	e := f.Current()
	require.Empty(t, e.Version)
	require.Equal(t, events.SeedRules().All(), e.Rules.All())
}

func TestFreshnessIsProvedWhileNothingIsPublished(t *testing.T) {
	broker := testenv.Kafka(t)
	f := follow(t, broker.Addrs(), testpolicy.NewTopic(t, broker), nil, nil)
	began := time.Now()
	for range 3 {
		was := f.Proved()
		require.Eventually(t, func() bool { return f.Proved().After(was) }, patience, 5*time.Millisecond)
	}
	require.True(t, f.Proved().After(began))
	require.False(t, f.Proved().After(time.Now()))
}

func TestNothingIsProvedOfATopicThatIsNotThere(t *testing.T) {
	broker := testenv.Kafka(t)
	f := follow(t, broker.Addrs(), "policies-nobody-made", nil, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.Error(t, f.CatchUp(ctx))
	require.True(t, f.Proved().IsZero())
}

func TestWhatContradictsIsAnAlarmAndChangesNothing(t *testing.T) {
	broker := testenv.Kafka(t)
	reg := prometheus.NewRegistry()
	topic := testpolicy.NewTopic(t, broker, policy.Seed())
	f := follow(t, broker.Addrs(), topic, nil, reg)
	require.NoError(t, f.CatchUp(t.Context()))
	before := f.Current()

	published := policy.Seed().PublishedOn.Start()
	other := testpolicy.Version(t, events.SeedPolicy, published, func(c *policy.Catalogue) { testpolicy.Widen(c, "promotion") })
	strange := testpolicy.Message(t, topic, policy.Seed())
	strange.Value = []byte("{}")
	testpolicy.Append(t, broker, testpolicy.Message(t, topic, other))
	testpolicy.Append(t, broker, strange)
	testpolicy.Publish(t, broker, topic, policy.Seed()) // a copy
	require.NoError(t, f.CatchUp(t.Context()))
	require.Same(t, before, f.Current())
	require.Equal(t, map[string]float64{"republished": 1, "malformed": 1}, refusals(t, reg))
}

// Two people publish at once, under one name, and one of them again: whoever starts
// later must go by the same one as whoever was there.
func TestTheFirstContentOfAVersionCountsForWhoeverStartsLater(t *testing.T) {
	broker := testenv.Kafka(t)
	first := policy.Seed()
	other := testpolicy.Version(t, events.SeedPolicy, first.PublishedOn.Start(), func(c *policy.Catalogue) { testpolicy.Widen(c, "promotion") })
	topic := testpolicy.NewTopic(t, broker, first)
	running := follow(t, broker.Addrs(), topic, nil, nil)
	testpolicy.Publish(t, broker, topic, other, first)
	started := follow(t, broker.Addrs(), topic, nil, nil)
	for _, f := range []*policyfeed.Follower{running, started} {
		require.NoError(t, f.CatchUp(t.Context()))
		known, _ := f.Book().Version(events.SeedPolicy)
		require.Equal(t, first.Hash(), known.Hash())
	}
}

// refusals returns how many versions were refused, by reason.
func refusals(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	out := make(map[string]float64)
	for _, family := range families {
		if family.GetName() != "consent_policy_refused_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			out[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
	}
	return out
}

func TestAVersionIsInForceFromItsDayOn(t *testing.T) {
	broker := testenv.Kafka(t)
	var now atomic.Int64
	day := time.Date(2029, 12, 31, 0, 0, 0, 0, time.UTC)
	now.Store(day.UnixMilli())
	next := testpolicy.Version(t, "2030-01", day, func(c *policy.Catalogue) { c.EffectiveOn = policy.DateOf(day).Add(3) })
	topic := testpolicy.NewTopic(t, broker, policy.Seed(), next)
	f := follow(t, broker.Addrs(), topic, func() time.Time { return time.UnixMilli(now.Load()) }, nil)
	require.NoError(t, f.CatchUp(t.Context()))
	first := f.Current()
	require.Equal(t, events.SeedPolicy, first.Version)

	now.Store(first.Next.UnixMilli())
	select {
	case <-f.Superseded(first):
		require.EqualValues(t, "2030-01", f.Current().Version)
	case <-time.After(patience):
		t.Fatal("the effective date passed unnoticed")
	}
}
