package roles

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/policy"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/daemon"
)

// SuppressionKeys are what the role policy hashes erased subjects with.
type SuppressionKeys struct{ Current, Previous policy.Key }

// loadKeys reads the keys that the configuration names.
func loadKeys(cfg daemon.Policy) (k SuppressionKeys, err error) {
	if k.Current, err = policy.LoadKey(cfg.KeyFile); err != nil {
		return k, fmt.Errorf("policy.key_file: %w", err)
	}
	if k.Previous, err = policy.LoadKey(cfg.PreviousKeyFile); err != nil {
		return k, fmt.Errorf("policy.previous_key_file: %w", err)
	}
	return k, nil
}

func policyService(p *Platform, _ *events.Rules, client redis.UniversalClient) (consumers.Service, error) {
	action, err := policy.New(client, policy.Config{
		Rules: p.rules, Key: p.Suppression.Current, Previous: p.Suppression.Previous,
		Publisher: p.Producer, Receipts: p.Config.Topics.Receipts,
	})
	if err != nil {
		return consumers.Service{}, fmt.Errorf("%w: set policy.key_file", err)
	}
	return policy.Service(action), nil
}

// policyBeside returns what the role does beside following the log: it goes through
// its calendar, and reads who used the service.
func policyBeside(p *Platform, client redis.UniversalClient) (func(context.Context) error, error) {
	if _, err := policyService(p, nil, client); err != nil { // what is not configured is not waited for
		return nil, err
	}
	cfg := p.Config.Policy
	mapping, err := policy.ParseMapping(cfg.Activity.Subject, cfg.Activity.Time)
	if err != nil {
		return nil, fmt.Errorf("policy.activity: %w", err)
	}
	shared := policy.Shared{
		States: cache.NewReader(client, policy.Name), Publications: p.Policy, Publisher: p.Producer,
		Events: p.Config.Topics.Events, Rules: p.rules, LogNow: p.Producer.Now, Logger: p.Logger, Metrics: policy.NewMetrics(p.Registry),
	}
	sweeper := policy.NewSweeper(client, cfg.Sweep, shared)
	if cfg.Activity.Topic == "" {
		return sweeper.Run, nil
	}
	log, err := stream.NewConsumer(stream.ConsumerConfig{
		Config: p.kafka, Group: groupPrefix + policy.Name + "-activity", Topic: cfg.Activity.Topic,
	})
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	intake := policy.NewIntake(cfg.Activity.Topic, mapping, shared)
	return func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return sweeper.Run(ctx) })
		group.Go(func() error { return intake.Run(ctx, log) })
		return group.Wait()
	}, nil
}

// rules returns those of the versions that are known now.
func (p *Platform) rules() *events.Rules { return p.Policy.Current().Rules }
