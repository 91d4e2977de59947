package cache

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Policies are all published versions of the policy, as a service knows them.
type Policies struct {
	Revision   string   // names this content
	Grown      []string // revisions that it grew out of, the oldest first
	Catalogues string   // JSON, for package policy
}

// Knows says whether whoever holds p knows what a revision is about.
func (p Policies) Knows(revision string) bool {
	return revision != "" && (p.Revision == revision || slices.Contains(p.Grown, revision))
}

// Publish implements [Store]. It asks first: usually they are there.
func (r *Redis) Publish(ctx context.Context, p Policies) error {
	key := policyKey(r.layout.Service)
	there, err := r.client.HGet(ctx, key, "revision").Result()
	if err = classify(err); err == nil && there == p.Revision {
		return nil
	}
	if err == nil {
		args := append(newArgs(4), key, p.Revision, strings.Join(p.Grown, " "), p.Catalogues)
		_, err = r.run(ctx, call(ctx, r.scripts.policy, 1, args))
	}
	if err != nil {
		return fmt.Errorf("publish the policies of %s: %w", r.layout.Service, err)
	}
	return nil
}

// Policies implements [Store].
func (r *Redis) Policies(ctx context.Context) (Policies, error) {
	return readPolicies(ctx, r.client, r.layout.Service)
}

// Policies reads the policies that the service published last.
func (r *Reader) Policies(ctx context.Context) (Policies, error) {
	return readPolicies(ctx, r.client, r.service)
}

func readPolicies(ctx context.Context, client redis.UniversalClient, service string) (Policies, error) {
	fields, err := client.HGetAll(ctx, policyKey(service)).Result()
	if err != nil {
		return Policies{}, fmt.Errorf("policies of %s: %w", service, classify(err))
	}
	if len(fields) == 0 {
		return Policies{}, nil
	}
	return Policies{Revision: fields["revision"], Grown: strings.Fields(fields["grown"]), Catalogues: fields["catalogues"]}, nil
}
