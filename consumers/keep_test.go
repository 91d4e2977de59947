package consumers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
)

// in returns a subject of a partition.
func in(t testing.TB, p int32) events.Subject { return of(t, p, 0) }

func (b *bed) withdrawal(t testing.TB, s events.Subject, at events.Millis) events.Event {
	e := b.decided(t, events.Withdrawn, s, at)
	e.Policy = ""
	return e
}

// Two partitions share a lane, and one of them waits.
func TestPartitionThatWaitsForTheParkedTopicStopsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.Equal(t, laneOf(0), laneOf(2))
		b := newBed(t)
		var said syncBuffer
		b.cfg.Logger = slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelError}))
		registry := prometheus.NewRegistry()
		b.cfg.Meter = NewMetrics(registry, "marketing")
		var up atomic.Bool
		b.topics.fail = func(topic string) error {
			if !up.Load() && topic == "consent.parked.v1" {
				return errors.New("no leader")
			}
			return nil
		}
		stop := b.start(t)
		b.waitCaughtUp(t)
		bad := b.log.tell(events.Event{Method: events.ByPerson, Subject: in(t, 0), Decided: 2_000_000})
		for i := range events.Millis(300) {
			for n := 0; i == 10 && n < farBehind; n++ { // how far it is behind keeps no window of the others open
				b.log.tell(b.withdrawal(t, in(t, 0), 2_500_000))
			}
			b.log.tell(b.withdrawal(t, in(t, 0), 3_000_000+i))
			told := time.Now()
			b.log.tell(b.withdrawal(t, in(t, 2), 3_000_000+i))
			synctest.Wait()
			require.Eventually(t, func() bool { return b.mark(2).Next == int64(i)+1 }, 2*parkSoon, time.Millisecond, "the lane waits")
			if i > 3 { // it waited a little, and never again
				require.Less(t, time.Since(told), parkSoon/2, "the lane waited once more")
			}
			<-time.After(30 * time.Millisecond)
		}
		require.Equal(t, bad.Position.Offset, b.mark(0).Next, "moved past an event that nobody keeps")
		require.Greater(t, time.Since(b.mark(0).Fresh.Time()), 8*time.Second, "freshness was proved of what waits")
		require.Less(t, time.Since(b.mark(2).Fresh.Time()), 2*time.Second)
		require.Greater(t, lagOf(t, registry, "0"), 250.0, "it is read on, and all of that waits in memory")
		require.Less(t, lagOf(t, registry, "2"), 2.0)
		require.Contains(t, said.String(), "a partition waits")
		require.Contains(t, said.String(), bad.Position.String())
		require.Contains(t, said.String(), "no leader")

		up.Store(true)
		b.waitCaughtUp(t)
		b.requireFolded(t)
		require.Len(t, b.topics.of("consent.parked.v1"), 1)
		require.NoError(t, stop())
	})
}

// One batch waits for the parked topic and another behind it, and the cache is lost
// meanwhile. The reader claims the partition anew for the first: what the cache then
// refuses of the second is refused by our own claim, and no cause to leave the group.
func TestCacheThatIsLostWhileAPartitionWaitsEndsNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		var said syncBuffer
		b.cfg.Logger = slog.New(slog.NewTextHandler(&said, nil))
		var up atomic.Bool
		b.topics.fail = func(topic string) error {
			if !up.Load() && topic == "consent.parked.v1" {
				return errors.New("no leader")
			}
			return nil
		}
		b.cfg.Store = &slowWrites{b.store}
		stop := b.start(t)
		b.waitCaughtUp(t)
		b.log.tell(events.Event{Subject: in(t, 0), Decided: 2_000_000})
		<-time.After(parkSoon / 2)
		b.log.tell(b.withdrawal(t, in(t, 0), 3_000_000)) // is folded before the partition pauses
		<-time.After(5 * parkSoon)
		require.Contains(t, said.String(), "a partition waits")
		b.flush()
		up.Store(true)
		b.waitCaughtUp(t)
		b.requireFolded(t)
		require.NotContains(t, said.String(), "joining the group anew")
		require.NoError(t, stop())
	})
}

// slowWrites is a store that takes a moment to write, in which a reader may claim.
type slowWrites struct{ Store }

func (s *slowWrites) Write(ctx context.Context, batches []cache.Batch) []cache.Result {
	<-time.After(time.Millisecond) // of the bubble's own clock
	return s.Store.Write(ctx, batches)
}

// lagOf reads the metric of a partition.
func lagOf(t testing.TB, from prometheus.Gatherer, partition string) float64 {
	families, err := from.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, m := range family.Metric {
			for _, label := range m.Label {
				if family.GetName() == "consent_consumer_lag_records" && label.GetName() == "partition" && label.GetValue() == partition {
					return m.Gauge.GetValue()
				}
			}
		}
	}
	require.Fail(t, "no lag of partition "+partition)
	return 0
}

// syncBuffer is a buffer that a logger writes and a test reads.
type syncBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// picky is a parked topic that refuses what is too large for it.
type picky struct {
	*fakeTopics
	most  int
	calls int
}

func (p *picky) PublishAll(ctx context.Context, ms []stream.Message) ([]stream.Ack, error) {
	p.calls++
	failed := &stream.PublishAllError{Total: len(ms)}
	for i, m := range ms {
		if len(m.Key)+len(m.Value) > p.most {
			failed.Failed = append(failed.Failed, &stream.PublishError{Topic: m.Topic, Index: i, Err: fmt.Errorf("%w: too large", stream.ErrRefused)})
			continue
		}
		if _, err := p.fakeTopics.PublishAll(ctx, []stream.Message{m}); err != nil {
			return nil, err
		}
	}
	if len(failed.Failed) > 0 {
		return nil, failed
	}
	return make([]stream.Ack, len(ms)), nil
}

func TestRefusedCopyIsKeptWithoutItsBytesAndTheOthersWithThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		topics := &picky{fakeTopics: b.topics, most: 2_000}
		b.cfg.Publisher = topics
		large := b.log.tell(events.Event{Subject: in(t, 0), Decided: 1})
		small := b.log.tell(events.Event{Subject: in(t, 0), Decided: 1})
		keyed := b.log.tell(events.Event{Subject: in(t, 0), Decided: 1})
		b.log.records[0][0].Value = append(b.log.records[0][0].Value, make([]byte, 3_000)...)
		b.log.records[0][2].Key = []byte(strings.Repeat("k", 3_000))
		stop := b.start(t)
		b.waitCaughtUp(t)
		copies := make(map[string]stream.Message)
		for _, m := range b.topics.of("consent.parked.v1") {
			for _, h := range m.Headers {
				if h.Key == HeaderParkedPosition {
					copies[string(h.Value)] = m
				}
			}
		}
		require.Len(t, copies, 3)
		m := copies[large.Position.String()]
		require.Nil(t, m.Value)
		require.Equal(t, in(t, 0).Reveal(), string(m.Key))
		require.Len(t, m.Headers, 5)
		require.Equal(t, stream.Header{Key: HeaderParkedLeftOut, Value: []byte("3004")}, m.Headers[0])
		m = copies[keyed.Position.String()]
		require.Nil(t, m.Key)
		require.Equal(t, stream.Beside(0), m.Partition)
		m = copies[small.Position.String()]
		require.Len(t, m.Value, 4)
		require.Len(t, m.Headers, 4)
		require.Len(t, b.topics.of("consent.parked.v1"), 3, "nothing twice")
		view, err := b.store.Lookup(t.Context(), in(t, 0))
		require.NoError(t, err)
		require.True(t, view.Held)
		require.NoError(t, stop())
	})
}

// A refusal of what cannot be refused could only have permitted.
func TestRefusalThatNobodyMayGiveHoldsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		at := b.withdrawal(t, in(t, 1), 1_000_000)
		at.Type, at.ID, at.Request = events.WithdrawalRefused, "refusal", events.Ref{Source: "/web", ID: "r"}
		at.ReviewBy, at.Evidence = 9_000_000, "urn:evidence:1"
		granted := at
		granted.Type, granted.ID, granted.Policy = events.Granted, "grant", events.SeedPolicy
		granted.Request = events.Ref{}
		b.log.tell(granted)
		b.log.tell(at)
		stop := b.start(t)
		b.waitCaughtUp(t)
		kept := b.topics.of("consent.parked.v1")
		require.Len(t, kept, 1)
		require.Equal(t, events.ReasonNotRefusable, string(kept[0].Headers[2].Value))
		view, err := b.store.Lookup(t.Context(), in(t, 1))
		require.NoError(t, err)
		require.False(t, view.Held)
		require.True(t, b.rules.Decide(view.State, "promotion").Allowed)
		require.NoError(t, stop())
	})
}
