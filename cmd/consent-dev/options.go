package main

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/pflag"
)

// options are the flags.
type options struct {
	kafka, redis         string // addresses of real ones; empty: embedded
	kafkaPort, redisPort int    // of the embedded ones: the first to try
	data                 string // directory of the embedded Kafka's log; empty: memory
	once                 bool
	rate                 float64 // events per second, beside the stories
	subjects             int
	storyEvery           time.Duration
	seed                 uint64 // 0: by chance
	logLevel             string
}

// mostRate keeps the load gentle: a script takes the embedded Redis half a
// millisecond, seven times as long as a real one (measured).
const mostRate = 1000

func (o *options) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.kafka, "kafka", "", "use the Kafka at host:port; topics that are not there are created")
	flags.StringVar(&o.redis, "redis", "", "use the Redis at host:port; keys beginning with consent: are ours")
	flags.IntVar(&o.kafkaPort, "kafka-port", 9092, "first port to try for the embedded Kafka; 0 takes any")
	flags.IntVar(&o.redisPort, "redis-port", 6379, "first port to try for the embedded Redis; 0 takes any")
	flags.StringVar(&o.data, "data", "", "keep the embedded Kafka's log in this directory")
	flags.BoolVar(&o.once, "once", false, "tell one story with every check and end: 0 when all promises held, else 1")
	flags.Float64Var(&o.rate, "rate", 50, "synthetic events per second; 0 for none")
	flags.IntVar(&o.subjects, "subjects", 1000, "synthetic subjects")
	flags.DurationVar(&o.storyEvery, "story-every", 6*time.Second, "pause between two stories")
	flags.Uint64Var(&o.seed, "seed", 0, "seed of the synthetic events; 0 takes one by chance")
	flags.StringVar(&o.logLevel, "log-level", "error", "of the services' own log, on standard error: debug, info, warn or error")
}

// validate says everything that is wrong.
func (o *options) validate() error {
	var faults []error
	for name, addr := range map[string]string{"--kafka": o.kafka, "--redis": o.redis} {
		if _, _, err := net.SplitHostPort(addr); addr != "" && err != nil {
			faults = append(faults, fmt.Errorf("%s %s: want host:port", name, addr))
		}
	}
	if o.kafka != "" && o.data != "" {
		faults = append(faults, errors.New("--data is for the embedded Kafka, --kafka names another"))
	}
	if o.rate < 0 || o.rate > mostRate {
		faults = append(faults, fmt.Errorf("--rate %g: want 0 to %d; this is no benchmark", o.rate, mostRate))
	}
	if o.subjects < 1 || o.subjects > 1_000_000 {
		faults = append(faults, fmt.Errorf("--subjects %d: want 1 to 1,000,000, the ids have six digits", o.subjects))
	}
	if o.storyEvery < time.Second {
		faults = append(faults, fmt.Errorf("--story-every %s: want 1s or more, to be read", o.storyEvery))
	}
	return errors.Join(faults...)
}
