package cache

import (
	"context"
	"fmt"
	"strconv"
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
		digest, err := m.redis.sum(ctx, partition)
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
