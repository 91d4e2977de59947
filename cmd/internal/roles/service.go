package roles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/avast/retry-go/v5"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/daemon"
)

// The pause between two tries to start while Kafka or Redis does not answer.
// Services, Kafka and Redis may start in any order.
const (
	firstStartPause = 200 * time.Millisecond
	lastStartPause  = 5 * time.Second
)

// Service is one role, ready to run.
type Service struct {
	Name string

	platform *Platform
	client   redis.UniversalClient
	role     Role
	service  consumers.Service // once the policy is known
	log      *slog.Logger
	metrics  *consumers.Metrics
	running  atomic.Pointer[consumers.Consumer]
	beside   func(context.Context) error // nil: nothing
}

// Service makes the service of a role. It reads the role's files.
func (p *Platform) Service(role Role) (*Service, error) {
	client, err := p.Connect()
	if err != nil {
		return nil, err
	}
	var beside func(context.Context) error
	if role.beside != nil {
		if beside, err = role.beside(p, client); err != nil {
			return nil, err
		}
	}
	if err := p.Registry.Register(newStaleness(cache.NewReader(client, role.Name), role.Name)); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return &Service{
		Name: role.Name, platform: p, client: client, role: role,
		log: p.Logger, metrics: consumers.NewMetrics(p.Registry, role.Name), beside: beside,
	}, nil
}

// Run follows the log until ctx ends. It waits for a Kafka and a Redis that do
// not answer yet, and gives up only on what waiting does not mend: a Redis that
// may evict, or one that holds another layout.
func (s *Service) Run(ctx context.Context) error {
	consumer, err := retry.NewWithData[*consumers.Consumer](
		retry.Context(ctx), retry.UntilSucceeded(), retry.LastErrorOnly(true),
		retry.Delay(firstStartPause), retry.MaxDelay(lastStartPause),
		retry.RetryIf(passing),
		retry.OnRetry(func(_ uint, err error) { s.log.Warn("not started yet", "service", s.Name, "err", err) }),
	).Do(func() (*consumers.Consumer, error) { return s.start(ctx) })
	if err != nil {
		return err
	}
	s.running.Store(consumer)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return consumer.Run(ctx) })
	if s.beside != nil {
		group.Go(func() error { return s.beside(ctx) })
	}
	return group.Wait()
}

func passing(err error) bool {
	return !errors.Is(err, cache.ErrEvicting) && !errors.Is(err, cache.ErrLayout) && !errors.Is(err, context.Canceled)
}

// start makes the consumer, for which Kafka and Redis have to be there.
func (s *Service) start(ctx context.Context) (*consumers.Consumer, error) {
	p := s.platform
	if err := p.Policy.CatchUp(ctx); err != nil { // what is said and made of the policy is of all that is published
		return nil, err
	}
	if s.service.Action == nil {
		service, err := s.role.service(p, p.Policy.Current().Rules, s.client)
		if err != nil {
			return nil, err
		}
		s.service = service
	}
	layout, err := p.Layout(ctx, s.Name)
	if err != nil {
		return nil, err
	}
	if err := cache.Agree(ctx, s.client, layout); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	store, err := cache.NewRedis(ctx, s.client, layout, s.log)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	if err := s.settle(ctx, store); err != nil {
		return nil, err
	}
	log, err := stream.NewConsumer(stream.ConsumerConfig{
		Config: p.kafka, Group: GroupOf(s.Name, layout.Generation), Topic: layout.Topic, Watch: s.metrics.Watch(),
	})
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return consumers.New(consumers.Config{
		Service:       s.service,
		Policy:        p.Policy,
		Generation:    layout.Generation,
		Partitions:    layout.Partitions,
		Log:           consumers.FromStream(log),
		Decoder:       func(r *events.Rules) consumers.Decoder { return cloudevent.Decoder{Rules: r} },
		Store:         store,
		Slots:         Slots(layout),
		Publisher:     p.Producer,
		ParkedTopic:   p.Config.Topics.Parked,
		ReceiptsTopic: p.Config.Topics.Receipts,
		Memory:        p.Config.Cache.Memory,
		Logger:        s.log,
		Meter:         s.metrics,
	})
}

// settle ties the cache to the Kafka cluster that it is folded from, before the
// service joins anything: a Redis that belongs to another is refused.
func (s *Service) settle(ctx context.Context, store *cache.Redis) error {
	kafka, err := s.platform.Admin.Cluster(ctx)
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	store.From(kafka.ID)
	return cache.FoldedFrom(ctx, s.client, s.Name, kafka.ID)
}

// groupPrefix begins the consumer groups' names: "consent-marketing".
const groupPrefix = "consent-"

// GroupOf returns the name of a service's consumer group, which is one for each
// generation of the log: members that are started with the settings of before do not
// disturb those that have gone on. In the first it is "consent-marketing", later
// "consent-marketing.g2".
func GroupOf(service string, generation uint32) string {
	if generation <= 1 {
		return groupPrefix + service
	}
	return fmt.Sprintf("%s%s.g%d", groupPrefix, service, generation)
}

// Slots says where a layout keeps the keys of a partition.
func Slots(l cache.Layout) func(int32) consumers.Slot {
	return func(partition int32) consumers.Slot {
		return consumers.Slot{Partition: partition, Prefix: l.Prefix(partition)}
	}
}

// Checks say whether Kafka and Redis answer, and whether the service is a member
// of its group. A member without a partition is ready: it stands by for others.
func (s *Service) Checks() []daemon.Check {
	return []daemon.Check{
		{Name: "kafka", Ready: func(ctx context.Context) error {
			_, err := s.platform.Layout(ctx, s.Name)
			return err
		}},
		{Name: "redis", Ready: func(ctx context.Context) error { return s.client.Ping(ctx).Err() }},
		{Name: "partitions", Ready: func(context.Context) error {
			consumer := s.running.Load()
			if consumer == nil {
				return errors.New("not started yet")
			}
			if _, member := consumer.Owned(); !member {
				return errors.New("no member of the group")
			}
			return nil
		}},
	}
}
