// Package roles makes the services out of a configuration: clients, cache,
// engine and action, wired in the order in which an event passes them.
//
// It decides nothing and adds nothing to what its parts do. cmd/consentd runs
// one role per process with it, cmd/consent-dev all of them in one.
package roles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/policyfeed"
)

// Platform is what all services of a process share. It opens no connection
// before it is used.
type Platform struct {
	Config   daemon.Config
	Policy   *policyfeed.Follower // what is published; the caller runs it beside the services
	Rules    *events.Rules        // of the seed's purposes, which have their codes for good
	Partners []affiliate.Partner  // of the role affiliate
	Admin    *stream.Admin
	Producer *stream.Producer
	Registry prometheus.Registerer
	Logger   *slog.Logger

	Suppression SuppressionKeys // of the role policy

	kafka   stream.Config
	clients []redis.UniversalClient       // one per service: none waits for another's connections
	finally []func(context.Context) error // what actions leave to end
}

// Open makes the clients. It reads the files that the configuration names and
// fails if one is not as it should be; whether anybody answers is found out
// later, and waited for. getenv finds partners' keys that stand in the
// environment. The caller closes the platform.
func Open(cfg daemon.Config, getenv func(string) string, registry prometheus.Registerer, log *slog.Logger) (*Platform, error) {
	layout, err := deploy.Topics()
	if err != nil {
		return nil, err
	}
	if cfg.Topics.Generation == 0 {
		cfg.Topics.Generation = int(layout.Generation)
	}
	if cfg.Cache.Buckets == 0 {
		cfg.Cache.Buckets = layout.BucketsPerPartition
	}
	p := &Platform{
		Config: cfg, Rules: new(policy.Book).Rules(), Registry: registry, Logger: log, kafka: KafkaOf(cfg.Kafka, log),
	}
	if path := cfg.Affiliate.PartnersFile; path != "" {
		if p.Partners, err = affiliate.LoadPartners(path, getenv); err != nil {
			return nil, err
		}
	}
	if p.Suppression, err = loadKeys(cfg.Policy); err != nil {
		return nil, err
	}
	if p.Admin, err = stream.NewAdmin(p.kafka); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	if p.Producer, err = stream.NewProducer(stream.ProducerConfig{Config: p.kafka, MessageBytes: deploy.MaxParkedBytes}); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	p.Policy, err = policyfeed.New(policyfeed.Config{
		Kafka: p.kafka, Topic: cfg.Topics.Policies, Logger: log, Metrics: policyfeed.NewMetrics(registry),
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Connect makes a client of the configured Redis, which the platform closes.
func (p *Platform) Connect() (redis.UniversalClient, error) {
	client, err := ConnectRedis(p.Config.Redis)
	if err != nil {
		return nil, err
	}
	p.clients = append(p.clients, client)
	return client, nil
}

// Close delivers what was published, within ctx, and closes the connections. No
// service may run any more.
func (p *Platform) Close(ctx context.Context) error {
	p.Policy.Close()
	faults := []error{p.Producer.Close(ctx)}
	for _, end := range p.finally {
		faults = append(faults, end(ctx))
	}
	for _, client := range p.clients {
		faults = append(faults, client.Close())
	}
	return errors.Join(faults...)
}

// Layout returns how the keys of a service are laid out. It asks Kafka for the
// number of partitions.
func (p *Platform) Layout(ctx context.Context, service string) (cache.Layout, error) {
	topic := p.Config.Topics.Events
	n, err := p.Admin.Partitions(ctx, topic)
	if err == nil && n == 0 {
		err = errors.New("not there")
	}
	if err != nil {
		return cache.Layout{}, fmt.Errorf("topic %s: %w", topic, err)
	}
	return cache.Layout{
		Service: service, Topic: topic, Generation: uint32(p.Config.Topics.Generation),
		Partitions: int32(n), Buckets: int32(p.Config.Cache.Buckets),
	}, nil
}
