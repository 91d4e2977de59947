package cache

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// From names the Kafka cluster whose log the store's states are folded from, by its
// cluster id; empty names none. Every Claim then writes it down beside the layout if
// nobody did, and refuses any other that is there ([ErrLayout]): offsets of one
// cluster mean nothing in another.
func (r *Redis) From(cluster string) { r.origin = cluster }

// Origin returns the id of the Kafka cluster that a service's cache was folded from,
// and nothing when that is not known.
func Origin(ctx context.Context, client redis.UniversalClient, service string) (string, error) {
	cluster, err := client.Get(ctx, originKey(service)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("origin of %s: %w", service, classify(err))
	}
	return cluster, nil
}

// FoldedFrom refuses a cache that was folded from another cluster than the named one
// ([ErrLayout]). Where either is unknown nothing speaks against it.
func FoldedFrom(ctx context.Context, client redis.UniversalClient, service, cluster string) error {
	origin, err := Origin(ctx, client, service)
	if err == nil && origin != "" && cluster != "" && origin != cluster {
		err = fmt.Errorf("the cache of %s: %w: it was folded from the Kafka cluster %s, and this is %s", service, ErrLayout, origin, cluster)
	}
	return err
}

// settle writes the origin down, and refuses another.
func (r *Redis) settle(ctx context.Context) error {
	if r.origin == "" {
		return nil
	}
	if err := r.client.SetNX(ctx, originKey(r.layout.Service), r.origin, 0).Err(); err != nil {
		return fmt.Errorf("origin of %s: %w", r.layout.Service, classify(err))
	}
	return FoldedFrom(ctx, r.client, r.layout.Service, r.origin)
}

func originKey(service string) string { return "consent:{" + service + "}:kafka" }
