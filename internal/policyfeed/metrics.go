package policyfeed

import (
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kelisim/kelisim/events/policy"
)

// Metrics are what a follower counts.
type Metrics struct {
	refusals *prometheus.CounterVec
	faults   prometheus.Counter
	versions prometheus.Gauge
	inForce  *prometheus.GaugeVec
	fresh    atomic.Pointer[time.Time]
}

// NewMetrics makes the metrics and registers them with reg, if reg is not nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "consent_policy_refused_total", Help: "Published versions of the policy that were refused, by reason. An alarm.",
		}, []string{"reason"}),
		faults: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "consent_policy_unread_total", Help: "Times the topic of policies could not be read on. An alarm.",
		}),
		versions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "consent_policy_versions", Help: "Published versions of the policy that are known.",
		}),
		inForce: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "consent_policy_in_force", Help: "1 for the version of the policy that is in force.",
		}, []string{"version"}),
	}
	m.fresh.Store(new(time.Time))
	stale := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "consent_policy_staleness_seconds",
		Help: "Age of the newest proof that every published version is known; +Inf if there is none. Caches are no fresher than that.",
	}, m.staleness)
	if reg != nil {
		reg.MustRegister(m.refusals, m.faults, m.versions, m.inForce, stale)
	}
	return m
}

func (m *Metrics) staleness() float64 {
	at := *m.fresh.Load()
	if at.IsZero() {
		return math.Inf(1)
	}
	return time.Since(at).Seconds()
}

func (m *Metrics) proved(at time.Time) { m.fresh.Store(&at) }

func (m *Metrics) unread() { m.faults.Inc() }

func (m *Metrics) refused(err error) { m.refusals.WithLabelValues(ReasonOf(err)).Inc() }

// Malformed is the reason of what cannot be read as a version.
const Malformed = "malformed"

// ReasonOf is a short stable word for why a record was refused: [Malformed] for what
// cannot be read, else what it contradicts.
func ReasonOf(err error) string {
	switch {
	case errors.Is(err, policy.ErrRepublished):
		return "republished"
	case errors.Is(err, policy.ErrCode):
		return "code"
	case errors.Is(err, policy.ErrOtherPolicy):
		return "other-policy"
	}
	return Malformed
}

func (m *Metrics) turned(e *policy.Edition) {
	m.versions.Set(float64(len(e.Book.Versions())))
	m.inForce.Reset()
	if e.Version != "" {
		m.inForce.WithLabelValues(string(e.Version)).Set(1)
	}
}
