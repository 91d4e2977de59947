package cache

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Staged returns the partitions of which something is staged, and whether a rebuild
// of the service runs that it may belong to.
func Staged(ctx context.Context, client redis.UniversalClient, live Layout) (partitions []int32, running bool, err error) {
	beside := live
	beside.beside = true
	n, err := client.Exists(ctx, reserveKey(live.Service)).Result()
	if err != nil {
		return nil, false, fmt.Errorf("staged of %s: %w", live.Service, classify(err))
	}
	for p := range live.Partitions {
		there, err := client.Exists(ctx, beside.keys(p)...).Result()
		if err != nil {
			return nil, false, fmt.Errorf("staged of %s, partition %d: %w", live.Service, p, classify(err))
		}
		if there > 0 {
			partitions = append(partitions, p)
		}
	}
	return partitions, n > 0, nil
}
