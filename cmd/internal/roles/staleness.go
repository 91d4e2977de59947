package roles

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kelisim/kelisim/internal/cache"
)

// lookTimeout bounds what a scrape waits for Redis; scrapers give up after ten
// seconds.
const lookTimeout = 2 * time.Second

// staleness measures a service's cache from outside, as a guard does: at every
// scrape it reads in Redis where each partition stands, whoever owns it. So a
// consumer that hangs cannot look healthy, and any member of the group reports
// for all: alert on the maximum by partition.
type staleness struct {
	reader                      *cache.Reader
	reachable, seconds, waiting *prometheus.Desc
}

func newStaleness(reader *cache.Reader, service string) *staleness {
	label := prometheus.Labels{"service": service}
	return &staleness{
		reader:    reader,
		reachable: prometheus.NewDesc("consent_cache_reachable", "1 if the service's cache answered this scrape.", nil, label),
		seconds: prometheus.NewDesc("consent_staleness_seconds",
			"Age of the newest proof that the cache held all of the log; +Inf if there is none. The guard denies from 3 on.",
			[]string{"partition"}, label),
		waiting: prometheus.NewDesc("consent_outbox_subjects", "Subjects whose action is still to be done.",
			[]string{"partition"}, label),
	}
}

// Describe implements [prometheus.Collector].
func (s *staleness) Describe(descs chan<- *prometheus.Desc) {
	descs <- s.reachable
	descs <- s.seconds
	descs <- s.waiting
}

// Collect implements [prometheus.Collector].
func (s *staleness) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), lookTimeout)
	defer cancel()
	stands, err := s.reader.Stands(ctx)
	if err != nil {
		metrics <- prometheus.MustNewConstMetric(s.reachable, prometheus.GaugeValue, 0)
		return
	}
	metrics <- prometheus.MustNewConstMetric(s.reachable, prometheus.GaugeValue, 1)
	for i, stand := range stands {
		partition, age := strconv.Itoa(i), math.Inf(1)
		if stand.Proved {
			age = stand.Age.Seconds()
		}
		metrics <- prometheus.MustNewConstMetric(s.seconds, prometheus.GaugeValue, age, partition)
		metrics <- prometheus.MustNewConstMetric(s.waiting, prometheus.GaugeValue, float64(stand.Waiting), partition)
	}
}
