package canary_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/events/stream/recordbatch"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/oncall/canary"
)

// pipeline is a log and a service that applies each event some time later.
type pipeline struct {
	sync.Mutex
	delay   time.Duration
	states  map[events.Subject]events.State
	events  []events.Event
	applied int // of them
	refuse  error
	answer  func(guard.Decision) guard.Decision // of the guard, as a fault would have it
	shut    bool                                // nothing is applied any more
	deaf    int                                 // every so many checks of a canary cannot ask; 0: none
	asked   map[events.Subject]int
	slow    bool // its clock is never measured
}

// Now is that of a producer that has measured no clock yet, at first.
func (p *pipeline) Now() time.Time {
	p.Lock()
	defer p.Unlock()
	if len(p.events) == 0 || p.slow {
		return time.Now().Add(-500 * time.Millisecond)
	}
	return time.Now()
}

func (p *pipeline) Publish(_ context.Context, m stream.Message) (stream.Ack, error) {
	p.Lock()
	defer p.Unlock()
	if p.refuse != nil {
		return stream.Ack{}, p.refuse
	}
	var e events.Event
	partition := events.PartitionOf(m.Key, 3)
	record := recordbatch.Record{Partition: partition, Key: m.Key, Value: m.Value}
	for _, h := range m.Headers {
		record.Headers = record.Headers.Append(h.Key, h.Value)
	}
	if err := (cloudevent.Decoder{Rules: events.SeedRules()}).Decode(&record, &e); err != nil {
		return stream.Ack{}, err
	}
	offset := int64(len(p.events))
	e.Logged = events.Stamp{
		Position: events.Position{Generation: 1, Partition: partition, Offset: offset}, Appended: events.MillisOf(time.Now()),
	}
	p.events = append(p.events, e)
	time.AfterFunc(p.delay, func() { p.applyTo(int(offset) + 1) })
	return stream.Ack{Partition: partition, Offset: offset, Appended: e.Logged.Appended.Time()}, nil
}

// applyTo applies the log up to an offset, in its order, whichever timer is first.
func (p *pipeline) applyTo(end int) {
	p.Lock()
	defer p.Unlock()
	for ; p.applied < end; p.applied++ {
		if e := &p.events[p.applied]; !p.shut {
			p.states[e.Subject], _ = events.SeedRules().Apply(p.states[e.Subject], e)
		}
	}
}

func (p *pipeline) Check(_ context.Context, s events.Subject, purpose events.Purpose) guard.Decision {
	p.Lock()
	defer p.Unlock()
	d := guard.Decision{Answer: events.SeedRules().Decide(p.states[s], purpose), Purpose: purpose}
	if p.asked == nil {
		p.asked = make(map[events.Subject]int)
	}
	if p.asked[s]++; p.deaf > 0 && p.asked[s]%p.deaf == 0 && d.Allowed {
		d.Answer = events.Answer{Reason: events.Unreachable}
	}
	if p.answer != nil {
		d = p.answer(d)
	}
	return d
}

func newFlock(t *testing.T, p *pipeline) *canary.Flock {
	p.states = make(map[events.Subject]events.State)
	f, err := canary.New(canary.Config{
		Publisher: p, Topic: "consent.events.v1", Generation: 1, Partitions: 3, Rules: events.SeedRules(), Policy: events.SeedPolicy,
		Purpose: canary.DefaultPurpose, Guards: map[string]guard.Checker{"marketing": p}, Name: "test", Within: canary.DefaultWithin,
	})
	require.NoError(t, err)
	return f
}

func TestCanaryMeasuresFromTheAcknowledgementToTheDenial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipeline{delay: 40 * time.Millisecond}
		f := newFlock(t, p)
		var sum canary.Summary
		for range 3 {
			flights, err := f.Fly(t.Context())
			require.NoError(t, err)
			require.Len(t, flights, 3, "one for each partition")
			for i, fl := range flights {
				require.EqualValues(t, i, fl.Partition)
				require.Empty(t, fl.Fault, fl.Answer)
				require.InDelta(t, 40, fl.Stopped.Milliseconds(), 12)
				require.InDelta(t, 40, fl.Opened.Milliseconds(), 12)
			}
			sum.Add(flights, false)
		}
		require.True(t, sum.Well())
		require.Equal(t, 3, sum.Rounds)
		require.Equal(t, 9, sum.Services[0].Flights)
		require.GreaterOrEqual(t, sum.Services[0].Max, sum.Services[0].P50)
	})
}

func TestCanariesAreMarkedOnePerPartitionAndTheSameAtEveryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := make(map[events.Subject]bool)
		for range 2 {
			p := &pipeline{}
			_, err := newFlock(t, p).Fly(t.Context())
			require.NoError(t, err)
			for _, e := range p.events {
				require.True(t, e.Subject.IsCanary())
				require.Equal(t, "/consentctl/canary/test", e.Source)
				seen[e.Subject] = true
			}
		}
		require.Len(t, seen, 3)
	})
}

func TestSecondRunOpensWhatTheFirstErasedAMomentAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipeline{delay: time.Millisecond} // within one, a run's own events have no order in time
		first := newFlock(t, p)
		_, err := first.Fly(t.Context())
		require.NoError(t, err)
		require.NoError(t, first.Clear(t.Context()))
		states := p.states
		p.slow = true
		second := newFlock(t, p)
		p.states = states
		flights, err := second.Fly(t.Context())
		require.NoError(t, err)
		for _, fl := range flights {
			require.Empty(t, fl.Fault, fl.Answer)
		}
	})
}

func TestCanariesThatDoNotComeBackAreToldApart(t *testing.T) {
	withdrawn := func(d guard.Decision) bool { return d.Reason == events.ByWithdrawal }
	for name, c := range map[string]struct {
		fault  canary.Fault
		delay  time.Duration
		answer func(guard.Decision) guard.Decision
	}{
		"too slow":             {fault: canary.Late, delay: 6 * time.Second},
		"never applied":        {fault: canary.Late, answer: func(d guard.Decision) guard.Decision { return allow(d, withdrawn(d)) }},
		"stale from then on":   {fault: canary.Blind, answer: func(d guard.Decision) guard.Decision { return stale(d, withdrawn(d)) }},
		"stale from the start": {fault: canary.Blind, answer: func(d guard.Decision) guard.Decision { return stale(d, true) }},
		"nobody is let in":     {fault: canary.NotOpen, answer: func(d guard.Decision) guard.Decision { return denied(d, d.Allowed) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				flights, err := newFlock(t, &pipeline{delay: c.delay, answer: c.answer}).Fly(t.Context())
				require.NoError(t, err)
				var sum canary.Summary
				sum.Add(flights, false)
				require.False(t, sum.Well())
				require.Len(t, sum.Faults, 3)
				for _, fl := range flights {
					require.Equal(t, c.fault, fl.Fault, "%+v", fl)
					require.NotEmpty(t, fl.Answer)
					require.NotContains(t, fl.Answer, events.CanaryPrefix)
				}
				synctest.Wait()
				time.Sleep(time.Minute) // by the bubble's clock
			})
		})
	}
}

func allow(d guard.Decision, when bool) guard.Decision {
	if when {
		d.Allowed, d.Reason = true, events.ByGrant
	}
	return d
}

func stale(d guard.Decision, when bool) guard.Decision {
	if when {
		d.Answer = events.Answer{Reason: events.Stale}
	}
	return d
}

func denied(d guard.Decision, when bool) guard.Decision {
	if when {
		d.Answer = events.Answer{Reason: events.NeverGranted}
	}
	return d
}

func TestDenialThatIsTakenBackIsAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, seen := &pipeline{}, make(map[events.Version]int)
		p.answer = func(d guard.Decision) guard.Decision {
			if d.Reason == events.ByWithdrawal {
				seen[d.By]++
			}
			return allow(d, seen[d.By] > 1) // it denies once
		}
		flights, err := newFlock(t, p).Fly(t.Context())
		require.NoError(t, err)
		for _, fl := range flights {
			require.Equal(t, canary.Reopened, fl.Fault, "%+v", fl)
		}
	})
}

func TestCheckThatCouldNotAskIsNoStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipeline{delay: 100 * time.Millisecond, deaf: 3}
		flights, err := newFlock(t, p).Fly(t.Context())
		require.NoError(t, err)
		for _, fl := range flights {
			require.Empty(t, fl.Fault)
			require.Greater(t, fl.Stopped, 60*time.Millisecond)
		}
	})
}

func TestClearingLeavesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipeline{delay: time.Millisecond}
		f := newFlock(t, p)
		_, err := f.Fly(t.Context())
		require.NoError(t, err)
		require.NoError(t, f.Clear(t.Context()))
		for s := range p.states {
			require.Equal(t, events.ByErasure, p.Check(t.Context(), s, canary.DefaultPurpose).Reason)
		}
		_, err = f.Fly(t.Context()) // an erased canary flies again
		require.NoError(t, err)

		p.shut = true
		require.ErrorContains(t, f.Clear(t.Context()), "marketing has not erased it")
		p.refuse = errors.New("no broker")
		require.ErrorIs(t, f.Clear(t.Context()), p.refuse)
		_, err = f.Fly(t.Context())
		require.ErrorIs(t, err, p.refuse)
	})
}

func TestNobodyFliesWithoutABoundOrForWhatCannotBeWithdrawn(t *testing.T) {
	good := canary.Config{
		Publisher: &pipeline{}, Partitions: 3, Rules: events.SeedRules(), Purpose: canary.DefaultPurpose,
		Guards: map[string]guard.Checker{"marketing": &pipeline{}}, Name: "test", Within: time.Second,
	}
	for _, spoil := range []func(*canary.Config){
		func(c *canary.Config) { c.Within = 0 },
		func(c *canary.Config) { c.Guards = nil },
		func(c *canary.Config) { c.Purpose = "service" },
		func(c *canary.Config) { c.Purpose = "nonsense" },
		func(c *canary.Config) { c.Name = "@home" },
	} {
		bad := good
		spoil(&bad)
		_, err := canary.New(bad)
		require.ErrorContains(t, err, "canary: ")
	}
}

func TestMetricsCountFlights(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := canary.NewMetrics(registry)
	m.Add([]canary.Flight{{Service: "marketing", Stopped: time.Millisecond}, {Service: "marketing", Fault: canary.Late}}, true)
	count := func(name string) int {
		families, err := registry.Gather()
		require.NoError(t, err)
		for _, f := range families {
			if f.GetName() == name {
				return len(f.GetMetric())
			}
		}
		return 0
	}
	require.Equal(t, 2, count("consent_canary_flights_total"))
	require.Zero(t, count("consent_canary_last_well_timestamp_seconds"), "one was late")
	m.Add([]canary.Flight{{Service: "marketing"}}, false)
	require.Equal(t, 1, count("consent_canary_last_well_timestamp_seconds"))
}
