package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"
	"time"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/canary"
	"github.com/kelisim/kelisim/internal/oncall/cluster"
	"github.com/kelisim/kelisim/internal/oncall/topics"
)

// Env is what the doctor looks at. It belongs to one [Run].
type Env struct {
	*cluster.Cluster
	// Layout is deploy/topics.yaml, Names the configured names of its topics where
	// those are others.
	Layout deploy.Layout
	Names  map[string]string
	// Services are those that have to be there.
	Services []Service
	Links    []Link
	// Operators are the principals that administer topics by right: "User:ops".
	Operators []string
	// Sample is how many of the newest records of each partition are read; 0 is
	// [DefaultSample].
	Sample int
	// Pause lies between two looks at what ought to move; 0 is [DefaultPause].
	Pause time.Duration
	// Canary sends one round of canaries and erases them; nil sends none.
	Canary func(ctx context.Context) (Probe, error)

	wants   once[[]deploy.Topic]
	sampled once[[]record]
	looked  once[looks]
	asked   once[[]cache.Node]
	probed  once[Probe]
}

// Probe is what came of a round of canaries.
type Probe struct {
	Flights []canary.Flight
	Clock   stream.ClockReading // the brokers' clocks against ours, by the acknowledgements
}

// Service is one service.
type Service struct {
	Name, Group string
	Decides     bool // it also writes decisions, by the calendar
	Unasked     bool // no guard asks its cache
}

// Link is a way that consent takes over a network.
type Link struct {
	Name  string
	Addrs []string    // host:port
	TLS   *tls.Config // as the services have it; nil is plain text
}

// The defaults of an Env.
const (
	// DefaultSample reads twelve thousand records of twelve partitions in a second
	// or two, and finds a producer that writes one record in a hundred.
	DefaultSample = 1000
	// DefaultPause is longer than the longest that a healthy partition waits: a
	// fetch without records answers within a second.
	DefaultPause = 2 * time.Second
)

// wanted returns every topic as it has to be on this cluster.
func (e *Env) wanted(ctx context.Context) ([]deploy.Topic, error) {
	return e.wants.get(func() ([]deploy.Topic, error) {
		admin, err := e.Admin()
		if err != nil {
			return nil, err
		}
		return topics.Wanted(ctx, admin, e.Layout, e.Names)
	})
}

// partitions returns how many the events topic has to have: where a key belongs
// is counted from it.
func (e *Env) partitions() (int32, error) {
	t, err := e.Layout.Topic(deploy.EventsTopic)
	return int32(t.Partitions), err
}

// redis returns what the servers of the caches say of themselves.
func (e *Env) redis(ctx context.Context) ([]cache.Node, error) {
	return e.asked.get(func() ([]cache.Node, error) {
		client, err := e.Redis()
		if err != nil {
			return nil, err
		}
		return cache.Inspect(ctx, client)
	})
}

// probe sends the canaries, once. Without any the zero Probe comes back.
func (e *Env) probe(ctx context.Context) (Probe, error) {
	return e.probed.get(func() (Probe, error) {
		if e.Canary == nil {
			return Probe{}, nil
		}
		return e.Canary(ctx)
	})
}

// described returns the topics of the cluster, and those that have to be there.
func (e *Env) described(ctx context.Context) (map[string]stream.Topic, []deploy.Topic, error) {
	wanted, err := e.wanted(ctx)
	if err != nil {
		return nil, nil, err
	}
	admin, err := e.Admin()
	if err != nil {
		return nil, nil, err
	}
	found, err := admin.Topics(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("topics: %w", err)
	}
	return found, wanted, nil
}

// once is a thing that several checks look at, and that is fetched once.
type once[T any] struct {
	first sync.Once
	value T
	err   error
}

func (o *once[T]) get(fetch func() (T, error)) (T, error) {
	o.first.Do(func() { o.value, o.err = fetch() })
	return o.value, o.err
}
