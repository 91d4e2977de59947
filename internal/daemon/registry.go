package daemon

import (
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry returns a registry that already counts what every Go process has
// to say of itself, and consent_build_info. The parts add their own metrics.
// None may have a label that takes as many values as there are people.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	version, revision := build()
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "consent_build_info",
			Help:        "Always 1; the labels say which build this is.",
			ConstLabels: prometheus.Labels{"version": version, "revision": revision, "goversion": runtime.Version()},
		}, func() float64 { return 1 }),
	)
	return r
}

// Version returns the version of this build as Go knows it: a tag, a pseudo
// version or "(devel)".
func Version() string {
	version, _ := build()
	return version
}

func build() (version, revision string) {
	version, revision = "(unknown)", "(unknown)"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version, revision
	}
	if info.Main.Version != "" {
		version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return version, revision
}
