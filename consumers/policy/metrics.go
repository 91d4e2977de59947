package policy

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are what the role counts. No label ever names a subject.
type Metrics struct {
	activities *prometheus.CounterVec
	erasures   prometheus.Counter
	waiting    *prometheus.GaugeVec
	reviews    prometheus.Gauge
	suppressed prometheus.Gauge
	failures   *prometheus.CounterVec
}

// NewMetrics makes the metrics and registers them with reg, if reg is not nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		activities: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "consent_activities_total", Help: "Activities read, by what came of them; unreadable ones are left out.",
		}, []string{"outcome"}),
		erasures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "consent_retention_erasures_total", Help: "Erasures published because retention was over.",
		}),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "consent_retention_waiting", Help: "Subjects whose retention runs, or is over and not erased, by why.",
		}, []string{"why"}),
		reviews: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "consent_reviews_overdue", Help: "Subjects with a refused withdrawal whose review date has passed. An alarm.",
		}),
		suppressed: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "consent_suppressed_subjects", Help: "Subjects that were erased and did not come back.",
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "consent_policy_failures_total", Help: "What the role could not do and tries again, by kind.",
		}, []string{"what"}),
	}
	if reg != nil {
		reg.MustRegister(m.activities, m.erasures, m.waiting, m.reviews, m.suppressed, m.failures)
	}
	return m
}
