package cache

import (
	"context"
	"fmt"
	"strconv"
)

// resolve finds out whether states were lost under transactions of which nobody heard
// the answer: what is stored then has another digest than the one that was counted.
// If so the partition is known no more, and must be begun anew.
func (r *Redis) resolve(ctx context.Context, partition int32, epoch int64) error {
	was, err := r.client.HGet(ctx, r.layout.Prefix(partition)+positionName, "digest").Result()
	if err = classify(err); err != nil {
		return fmt.Errorf("digest of partition %d: %w", partition, err)
	}
	if was == "" {
		was = "0"
	}
	stored, err := r.sum(ctx, partition)
	if err != nil {
		return fmt.Errorf("digest of partition %d: %w", partition, err)
	}
	_, err = r.mark(ctx, r.scripts.resolve, partition, epoch, was, strconv.FormatUint(uint64(stored), 10))
	return err
}

// sum reads all buckets. What is no state of the partition is not part of it.
func (r *Redis) sum(ctx context.Context, partition int32) (Digest, error) {
	found := survey{layout: r.layout, partition: partition}
	for first := int32(0); first < r.layout.Buckets; first += scanChunk {
		for i, cmd := range r.buckets(ctx, partition, first, min(first+scanChunk, r.layout.Buckets)) {
			fields, err := cmd.Result()
			if err != nil {
				return 0, classify(err)
			}
			found.take(first+int32(i), fields)
		}
	}
	return found.digest, nil
}
