// Package cluster is what the commands of consentctl work on: the log, and the
// services' caches, as one context of theirs reaches them.
//
// Clients are opened on first use and closed together. It decides nothing.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// closeTimeout bounds the end of a producer: what a command published has
// settled by then, so there is nothing to wait for.
const closeTimeout = 5 * time.Second

// Config says where the cluster is.
type Config struct {
	Kafka   stream.Config
	Topics  daemon.Topics                         // with a Generation of 0 that of the build
	Connect func() (redis.UniversalClient, error) // opens a client of the caches' Redis
	Logger  *slog.Logger                          // nil means silence
}

// Cluster is one log and its caches. Its methods may be called at the same time.
type Cluster struct {
	Kafka      stream.Config
	Topics     daemon.Topics
	Generation uint32 // of the events topic
	Logger     *slog.Logger

	connect func() (redis.UniversalClient, error)
	mu      sync.Mutex
	client  redis.UniversalClient
	written *stream.Producer
	skipped sync.Once // says once that records of the topic of policies are skipped
}

// New returns the cluster. It opens no connection. The caller closes it.
func New(cfg Config) (*Cluster, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	k := &Cluster{Kafka: cfg.Kafka, Topics: cfg.Topics, Logger: cfg.Logger, connect: cfg.Connect}
	if k.Generation = uint32(cfg.Topics.Generation); k.Generation == 0 {
		layout, err := deploy.Topics()
		if err != nil {
			return nil, err
		}
		k.Generation = layout.Generation
	}
	return k, nil
}

// Close closes what was opened.
func (k *Cluster) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var faults []error
	if k.written != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		faults = append(faults, k.written.Close(ctx))
	}
	if k.client != nil {
		faults = append(faults, k.client.Close())
	}
	k.written, k.client = nil, nil
	return errors.Join(faults...)
}

// Admin returns an administrator of the log.
func (k *Cluster) Admin() (*stream.Admin, error) { return stream.NewAdmin(k.Kafka) }

// Reader returns a reader of a topic, which the caller closes.
func (k *Cluster) Reader(topic string) (*stream.Reader, error) {
	return stream.NewReader(stream.ReaderConfig{Config: k.Kafka, Topic: topic})
}

// Producer returns the cluster's one producer.
func (k *Cluster) Producer() (*stream.Producer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.written == nil {
		// As much as a parked copy may have: what is redriven was one.
		p, err := stream.NewProducer(stream.ProducerConfig{Config: k.Kafka, MessageBytes: deploy.MaxParkedBytes})
		if err != nil {
			return nil, err
		}
		k.written = p
	}
	return k.written, nil
}

// Redis returns the cluster's one client of the caches.
func (k *Cluster) Redis() (redis.UniversalClient, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.client == nil {
		if k.connect == nil {
			return nil, errors.New("redis.addrs: not set")
		}
		client, err := k.connect()
		if err != nil {
			return nil, err
		}
		k.client = client
	}
	return k.client, nil
}

// Services returns the layouts of the services whose caches are there: of all,
// or of the named ones, each of which has to be.
func (k *Cluster) Services(ctx context.Context, names ...string) ([]cache.Layout, error) {
	client, err := k.Redis()
	if err != nil {
		return nil, err
	}
	all, err := cache.Services(ctx, client)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 && len(all) == 0 {
		return nil, errors.New("redis holds no service's cache")
	}
	if len(names) == 0 {
		return all, nil
	}
	var wanted []cache.Layout
	for _, name := range names {
		l, ok := layoutOf(all, name)
		if !ok {
			return nil, fmt.Errorf("redis holds no cache of service %s", name)
		}
		wanted = append(wanted, l)
	}
	return wanted, nil
}

// FoldedHere refuses where a cache was folded from another Kafka cluster than this:
// somebody named the brokers of one place and the Redis of another.
func (k *Cluster) FoldedHere(ctx context.Context, layouts []cache.Layout) error {
	admin, err := k.Admin()
	if err != nil {
		return err
	}
	kafka, err := admin.Cluster(ctx)
	if err != nil {
		return err
	}
	client, err := k.Redis()
	if err != nil {
		return err
	}
	for _, l := range layouts {
		if err := cache.FoldedFrom(ctx, client, l.Service, kafka.ID); err != nil {
			return exit.Refuse("%w", err)
		}
	}
	return nil
}

func layoutOf(all []cache.Layout, service string) (cache.Layout, bool) {
	for _, l := range all {
		if l.Service == service {
			return l, true
		}
	}
	return cache.Layout{}, false
}
