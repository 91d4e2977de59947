package canary

import (
	"slices"
	"time"
)

const (
	// keptFaults bounds the faults that a summary names; all are counted.
	keptFaults = 100
	// keptStops bounds the stops that percentiles are taken of, for each service: the
	// last two hours and a half of twelve canaries every ten seconds.
	keptStops = 10_000
)

// Summary is what came of many flights. The zero Summary is of none.
type Summary struct {
	Rounds   int             `json:"rounds"`
	Failed   int             `json:"failed"` // rounds in which something could not be published
	Services []ServiceFlight `json:"services"`
	Faults   []Flight        `json:"faults,omitempty"` // the first of them
}

// ServiceFlight is how canaries fared at one service. Times are from the
// acknowledged withdrawal to the first denial.
type ServiceFlight struct {
	Service string        `json:"service"`
	Flights int           `json:"flights"`
	Faults  int           `json:"faults"`
	P50     time.Duration `json:"p50"` // nanoseconds in JSON, like the others
	P99     time.Duration `json:"p99"`
	Max     time.Duration `json:"max"`

	stops []time.Duration // the newest, in no order
	next  int
}

// Add takes a round in.
func (s *Summary) Add(flights []Flight, failed bool) {
	s.Rounds++
	if failed {
		s.Failed++
	}
	for _, f := range flights {
		s.of(f.Service).add(f)
		if f.Fault != "" && len(s.Faults) < keptFaults {
			s.Faults = append(s.Faults, f)
		}
	}
	for i := range s.Services {
		s.Services[i].measure()
	}
}

// Well says whether every canary came back in time, and at least one flew.
func (s *Summary) Well() bool {
	well := s.Failed == 0 && len(s.Services) > 0
	for i := range s.Services {
		well = well && s.Services[i].Faults == 0
	}
	return well
}

func (s *Summary) of(service string) *ServiceFlight {
	i := slices.IndexFunc(s.Services, func(f ServiceFlight) bool { return f.Service == service })
	if i < 0 {
		i = len(s.Services)
		s.Services = append(s.Services, ServiceFlight{Service: service})
	}
	return &s.Services[i]
}

func (s *ServiceFlight) add(f Flight) {
	s.Flights++
	if f.Fault != "" {
		s.Faults++
	}
	s.Max = max(s.Max, f.Stopped)
	if len(s.stops) < keptStops {
		s.stops = append(s.stops, f.Stopped)
		return
	}
	s.stops[s.next] = f.Stopped
	s.next = (s.next + 1) % keptStops
}

func (s *ServiceFlight) measure() {
	if len(s.stops) == 0 {
		return
	}
	sorted := slices.Sorted(slices.Values(s.stops))
	at := func(percent int) time.Duration { return sorted[(len(sorted)-1)*percent/100] }
	s.P50, s.P99 = at(50), at(99)
}
