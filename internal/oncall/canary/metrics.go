package canary

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts flights. No metric carries a subject.
type Metrics struct {
	stops   *prometheus.HistogramVec
	flights *prometheus.CounterVec
	well    *prometheus.GaugeVec
	failed  prometheus.Counter
}

// NewMetrics registers the metrics.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		stops: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "consent_canary_stop_seconds", Help: "From the acknowledgement of a canary's withdrawal to the first denial.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}, // the promises are 10 ms and 5 s
		}, []string{"service"}),
		flights: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "consent_canary_flights_total", Help: "Canaries that flew, by how they fared: ok, late, reopened, blind, not-open.",
		}, []string{"service", "result"}),
		well: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "consent_canary_last_well_timestamp_seconds", Help: "When all canaries last came back in time.",
		}, []string{"service"}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "consent_canary_failed_rounds_total", Help: "Rounds in which something could not be published.",
		}),
	}
	registry.MustRegister(m.stops, m.flights, m.well, m.failed)
	return m
}

// Add takes a round in.
func (m *Metrics) Add(flights []Flight, failed bool) {
	if failed {
		m.failed.Inc()
	}
	well := make(map[string]bool)
	for _, f := range flights {
		result := "ok"
		if f.Fault != "" {
			result = string(f.Fault)
		}
		m.flights.WithLabelValues(f.Service, result).Inc()
		m.stops.WithLabelValues(f.Service).Observe(f.Stopped.Seconds())
		before, any := well[f.Service]
		well[f.Service] = f.Fault == "" && (before || !any)
	}
	for service, all := range well {
		if all && !failed {
			m.well.WithLabelValues(service).Set(float64(time.Now().UnixMilli()) / 1000)
		}
	}
}
