package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/events"
)

// scanChunk is how many buckets Begin reads in one round trip: about 1 MB.
const scanChunk = 256

// Begin implements [Store]. The position is forgotten first, so that nothing is
// written and no guard allows while it looks through the buckets; the digest and
// the highest stored version are worked out anew, and what is no state of this
// partition is removed, since it would block the fold or spoil the digest.
func (r *Redis) Begin(ctx context.Context, partition int32, epoch, at int64) (Mark, error) {
	return r.begins(ctx, partition, epoch, at, false)
}

// BeginTorso implements [Store].
func (r *Redis) BeginTorso(ctx context.Context, partition int32, epoch, at int64) (Mark, error) {
	return r.begins(ctx, partition, epoch, at, true)
}

func (r *Redis) begins(ctx context.Context, partition int32, epoch, at int64, torso bool) (Mark, error) {
	if mark, err := r.mark(ctx, r.scripts.forget, partition, epoch); err != nil {
		return mark, fmt.Errorf("begin: %w", err)
	}
	if err := r.heal(ctx, partition); err != nil {
		return Mark{}, fmt.Errorf("begin partition %d: %w", partition, err)
	}
	found := survey{layout: r.layout, partition: partition}
	inhabited, err := r.inhabited(ctx, partition)
	if err != nil {
		return Mark{}, fmt.Errorf("begin partition %d: %w", partition, err)
	}
	for _, first := range inhabited {
		if err := r.survey(ctx, &found, first, min(first+scanChunk, r.layout.Buckets)); err != nil {
			return Mark{}, fmt.Errorf("begin partition %d: %w", partition, err)
		}
	}
	if found.removed > 0 {
		r.log.Error("removed what is no state", "partition", partition, "count", found.removed)
	}
	mark, err := r.mark(ctx, r.scripts.begin, partition, epoch, itoa(at), itoa(int64(found.digest)), itoa(found.top), flag(torso))
	if err != nil {
		return mark, fmt.Errorf("begin: %w", err)
	}
	return mark, nil
}

// inhabited returns the first buckets of those chunks in which there is anything. The
// first start finds nothing, as after a flush, and need not ask bucket by bucket.
func (r *Redis) inhabited(ctx context.Context, partition int32) (chunks []int32, _ error) {
	prefix := r.layout.Prefix(partition) + bucketName
	p := pages{client: r.client}
	var cmds []*redis.Cmd
	for first := int32(0); first < r.layout.Buckets; first += scanChunk {
		args := append(make([]any, 0, 1+scanChunk), "exists")
		for b := first; b < min(first+scanChunk, r.layout.Buckets); b++ {
			args = append(args, prefix+itoa(int64(b)))
		}
		cmd := redis.NewCmd(ctx, args...)
		cmds = append(cmds, cmd)
		p.add(ctx, cmd)
	}
	p.send(ctx)
	for i, cmd := range cmds {
		there, err := cmd.Int()
		if err != nil {
			return nil, classify(err)
		}
		if there > 0 {
			chunks = append(chunks, int32(i)*scanChunk)
		}
	}
	return chunks, nil
}

// survey is what Begin finds in the buckets of a partition.
type survey struct {
	layout    Layout
	partition int32
	digest    Digest
	top       int64 // above every stored version
	removed   int
}

// survey reads the buckets from first to end.
func (r *Redis) survey(ctx context.Context, into *survey, first, end int32) error {
	for i, cmd := range r.buckets(ctx, into.partition, first, end) {
		bucket := first + int32(i)
		key := r.layout.bucketKey(into.partition, bucket)
		fields, err := cmd.Result()
		switch err = classify(err); {
		case errors.Is(err, ErrDamaged):
			into.removed++
			err = r.client.Del(ctx, key).Err()
		case err == nil:
			if strange := into.take(bucket, fields); len(strange) > 0 {
				err = r.client.HDel(ctx, key, strange...).Err()
			}
		}
		if err != nil {
			return classify(err)
		}
	}
	return nil
}

// buckets reads the buckets of a partition from first to end. Each has its own error.
func (r *Redis) buckets(ctx context.Context, partition, first, end int32) []*redis.MapStringStringCmd {
	pipe := r.client.Pipeline()
	cmds := make([]*redis.MapStringStringCmd, 0, end-first)
	for b := first; b < end; b++ {
		cmds = append(cmds, pipe.HGetAll(ctx, r.layout.bucketKey(partition, b)))
	}
	_, _ = pipe.Exec(ctx) // only the first error
	return cmds
}

// take enters a bucket and returns the fields that do not belong there.
func (s *survey) take(bucket int32, fields map[string]string) (strange []string) {
	for field, value := range fields {
		subject, err1 := subjectOf(field)
		state, err2 := events.ParseState([]byte(value))
		at, known := state.Version()
		p, b := s.layout.place(subject)
		if err1 != nil || err2 != nil || !known || p != s.partition || b != bucket ||
			at.Generation != s.layout.Generation || at.Partition != s.partition {
			strange = append(strange, field)
			continue
		}
		s.digest = s.digest.Swap(subject, events.State{}, state)
		s.top = max(s.top, at.Offset+1)
	}
	s.removed += len(strange)
	return slices.Clip(strange)
}

// heal removes the partition's keys that are of another type: scripts would fail
// on them for ever.
func (r *Redis) heal(ctx context.Context, partition int32) error {
	prefix := r.layout.Prefix(partition)
	for name, probe := range map[string]func(string) error{
		positionName: func(key string) error { return r.client.HLen(ctx, key).Err() },
		outboxName:   func(key string) error { return r.client.ZCard(ctx, key).Err() },
		heldName:     func(key string) error { return r.client.HLen(ctx, key).Err() },
	} {
		err := classify(probe(prefix + name))
		if errors.Is(err, ErrDamaged) {
			r.log.Error("removed a key of another type", "partition", partition, "key", name)
			err = classify(r.client.Del(ctx, prefix+name).Err())
		}
		if err != nil {
			return err
		}
	}
	return nil
}
