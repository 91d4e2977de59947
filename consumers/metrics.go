package consumers

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
)

// Metrics are what a consumer counts, bound once so that the hot path does no
// look-up. No label ever names a subject.
type Metrics struct {
	verdicts    [events.Park + 1]prometheus.Counter
	propagation prometheus.Observer
	store       prometheus.Observer
	states      prometheus.Counter
	actions     prometheus.Counter
	actErrors   prometheus.Counter
	swept       prometheus.Counter
	stills      prometheus.Counter
	rereads     prometheus.Counter
	parkedBy    *prometheus.CounterVec
	alarms      *prometheus.CounterVec
	retries     *prometheus.CounterVec
	lag         *prometheus.GaugeVec
	reading     *prometheus.CounterVec
}

// NewMetrics makes the metrics of one service and registers them with reg, if
// reg is not nil.
func NewMetrics(reg prometheus.Registerer, service string) *Metrics {
	label := prometheus.Labels{"service": service}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: label})
	}
	vec := func(name, help, by string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: label}, []string{by})
	}
	histogram := func(name, help string, from float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: name, Help: help, ConstLabels: label, Buckets: prometheus.ExponentialBuckets(from, 2, 18),
		})
	}
	applied := vec("consent_events_applied_total", "Events folded, by verdict.", "outcome")
	propagation := histogram("consent_propagation_seconds", "From the append in the log to the change in the cache, oldest event of each batch.", 0.0001)
	store := histogram("consent_store_seconds", "Writing one window to the cache.", 0.0001)
	m := &Metrics{
		propagation: propagation,
		store:       store,
		states:      counter("consent_states_written_total", "States written to the cache; fewer than events when subjects repeat."),
		actions:     counter("consent_actions_total", "Subjects acted on."),
		swept:       counter("consent_policy_swept_subjects_total", "Subjects acted on again because the policy changed."),
		actErrors:   counter("consent_action_errors_total", "Calls of the action that failed and are tried again."),
		stills:      counter("consent_partition_standstill_total", "Times a partition could not be read on: a gap or a broken batch. An alarm."),
		rereads:     counter("consent_rereads_total", "Times a partition was read again because the cache was elsewhere."),
		parkedBy:    vec("consent_parked_records_total", "Records put in the parked topic, by reason. An alarm.", "reason"),
		alarms:      vec("consent_alarms_total", "Events that were applied and need a person's eye, by kind.", "kind"),
		retries:     vec("consent_retries_total", "Operations tried again, by kind.", "what"),
		reading:     vec("consent_reading_total", "What happened while reading the log: rebalances, moved leaders, lost connections; a stall, a gap or a broken batch is an alarm.", "what"),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "consent_consumer_lag_records", Help: "Records of the log that are not folded yet.", ConstLabels: label,
		}, []string{"partition"}),
	}
	for v := range m.verdicts {
		m.verdicts[v] = applied.WithLabelValues(events.Verdict(v).String())
	}
	if reg != nil {
		reg.MustRegister(applied, propagation, store, m.states, m.actions, m.actErrors, m.swept, m.stills, m.rereads, m.parkedBy, m.alarms, m.retries, m.reading, m.lag)
	}
	return m
}

// Watch returns hooks that count what the stream tells while it reads.
func (m *Metrics) Watch() stream.Watch {
	gap, corrupt := m.reading.WithLabelValues("gap"), m.reading.WithLabelValues("corrupt")
	stall, lost := m.reading.WithLabelValues("stall"), m.reading.WithLabelValues("lost-connection")
	moved, rebalance := m.reading.WithLabelValues("moved"), m.reading.WithLabelValues("rebalance")
	group := m.reading.WithLabelValues("group-error")
	return stream.Watch{
		OutOfRange: func(*stream.OutOfRangeError) { gap.Inc() },
		Corrupt:    func(*stream.CorruptError) { corrupt.Inc() },
		Stall:      func(stream.Stall) { stall.Inc() },
		Lost:       func(int32, error) { lost.Inc() },
		Moved:      func(int32, error) { moved.Inc() },
		Rebalance:  func(int32, []int32) { rebalance.Inc() },
		GroupError: func(error) { group.Inc() },
	}
}

func (m *Metrics) stored(b *batch, took time.Duration, now time.Time) {
	for v, n := range b.tally.Verdicts {
		if n > 0 {
			m.verdicts[v].Add(float64(n))
		}
	}
	if b.tally.Oldest > 0 {
		m.propagation.Observe(max(0, now.Sub(b.tally.Oldest.Time()).Seconds()))
		m.store.Observe(took.Seconds())
	}
	m.states.Add(float64(len(b.Changes)))
}

// lagOf binds the lag of one partition; leave drops it when it is taken away.
func (m *Metrics) lagOf(partition int32) prometheus.Gauge {
	return m.lag.WithLabelValues(strconv.Itoa(int(partition)))
}

func (m *Metrics) leave() { m.lag.Reset() }

func (m *Metrics) acted(n int)          { m.actions.Add(float64(n)) }
func (m *Metrics) owed(n int)           { m.swept.Add(float64(n)) }
func (m *Metrics) actFailed()           { m.actErrors.Inc() }
func (m *Metrics) stopped()             { m.stills.Inc() }
func (m *Metrics) reread()              { m.rereads.Inc() }
func (m *Metrics) parked(reason string) { m.parkedBy.WithLabelValues(reason).Inc() }
func (m *Metrics) alarmed(kind string)  { m.alarms.WithLabelValues(kind).Inc() }
func (m *Metrics) retried(what string)  { m.retries.WithLabelValues(what).Inc() }
