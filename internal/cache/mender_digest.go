package cache

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// redigestTries is how often the digest is worked out while the consumer writes.
// A partition of ten thousand subjects takes some milliseconds a try.
const redigestTries = 20

// Redigest works the digest of a partition out of what is stored and corrects it.
// The owner's arithmetic is right only for states that it wrote itself: after
// mends of others' faults it would never agree again. It says false when the
// consumer was busy at every try; then the digest is as it was.
func (m *Mender) Redigest(ctx context.Context, partition int32) (bool, error) {
	pos := m.layout.Prefix(partition) + positionName
	for range redigestTries {
		before, err := m.redis.client.HMGet(ctx, pos, "next", "digest").Result()
		if err != nil {
			return false, fmt.Errorf("digest of partition %d of %s: %w", partition, m.layout.Service, classify(err))
		}
		next, known := before[0].(string)
		if !known {
			return false, nil
		}
		digest, err := m.sum(ctx, partition)
		if err != nil {
			return false, fmt.Errorf("digest of partition %d of %s: %w", partition, m.layout.Service, err)
		}
		was, ok := before[1].(string)
		if !ok {
			was = "0"
		}
		args := append(newArgs(4), pos, next, was, strconv.FormatUint(uint64(digest), 10))
		v, err := m.redis.run(ctx, call(ctx, m.redis.scripts.redigest, 1, args))
		if err != nil {
			return false, fmt.Errorf("digest of partition %d of %s: %w", partition, m.layout.Service, err)
		}
		if v == "0" {
			return true, nil
		}
	}
	return false, nil
}

// sum reads all buckets. What is no state of the partition is not part of it.
func (m *Mender) sum(ctx context.Context, partition int32) (Digest, error) {
	found := survey{layout: m.layout, partition: partition}
	for first := int32(0); first < m.layout.Buckets; first += scanChunk {
		pipe := m.redis.client.Pipeline()
		var cmds []*redis.MapStringStringCmd
		for b := first; b < min(first+scanChunk, m.layout.Buckets); b++ {
			cmds = append(cmds, pipe.HGetAll(ctx, m.layout.bucketKey(partition, b)))
		}
		_, _ = pipe.Exec(ctx) // only the first error: each command has its own
		for i, cmd := range cmds {
			fields, err := cmd.Result()
			if err != nil {
				return 0, classify(err)
			}
			found.take(first+int32(i), fields)
		}
	}
	return found.digest, nil
}
