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
	s := &Staging{live: live}
	n, err := client.Exists(ctx, s.reserveKey()).Result()
	if err != nil {
		return nil, false, fmt.Errorf("staged of %s: %w", live.Service, classify(err))
	}
	for p := range live.Partitions {
		prefix := beside.Prefix(p)
		keys := []string{prefix + positionName, prefix + outboxName, prefix + heldName}
		for b := range live.Buckets {
			keys = append(keys, beside.bucketKey(p, b))
		}
		there, err := client.Exists(ctx, keys...).Result()
		if err != nil {
			return nil, false, fmt.Errorf("staged of %s, partition %d: %w", live.Service, p, classify(err))
		}
		if there > 0 {
			partitions = append(partitions, p)
		}
	}
	return partitions, n > 0, nil
}
