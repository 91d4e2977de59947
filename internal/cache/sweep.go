package cache

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/events"
)

// Kept is a subject with its state.
type Kept struct {
	Subject events.Subject
	State   events.State
}

// Sweep is how far the subjects of a partition are brought in line with a change
// of the policy. The zero Sweep is of a partition that was never swept.
type Sweep struct {
	Mark   string // names the edition of the policy
	Open   bool   // not all are
	Bucket int32  // when it is open: the next bucket to look through
}

// String writes the sweep as it is stored: the mark, and while it is open a
// question mark and the next bucket.
func (s Sweep) String() string {
	if !s.Open {
		return s.Mark
	}
	return s.Mark + "?" + strconv.Itoa(int(s.Bucket))
}

// parseSweep reads what String wrote. What cannot be read is an open sweep of
// nothing that anybody knows, so that all is swept again.
func parseSweep(text string) Sweep {
	mark, bucket, open := strings.Cut(text, "?")
	n, err := strconv.ParseInt(bucket, 10, 32)
	if open && (err != nil || n < 0) {
		return Sweep{Open: true}
	}
	return Sweep{Mark: mark, Open: open, Bucket: int32(n)}
}

// Swept implements [Store].
func (r *Redis) Swept(ctx context.Context, partition int32) (Sweep, error) {
	text, err := r.client.HGet(ctx, r.layout.Prefix(partition)+positionName, "swept").Result()
	if err = classify(err); err != nil {
		return Sweep{}, fmt.Errorf("sweep of partition %d: %w", partition, err)
	}
	return parseSweep(text), nil
}

// States implements [Store]. What is no state of the partition is left out.
func (r *Redis) States(ctx context.Context, partition, first, n int32) (all []Kept, more bool, err error) {
	end := min(first+n, r.layout.Buckets)
	pipe := r.client.Pipeline()
	cmds := make([]*redis.MapStringStringCmd, 0, max(0, end-first))
	for b := first; b < end; b++ {
		cmds = append(cmds, pipe.HGetAll(ctx, r.layout.bucketKey(partition, b)))
	}
	_, _ = pipe.Exec(ctx) // only the first error: each command has its own
	for i, cmd := range cmds {
		fields, err := cmd.Result()
		if err != nil {
			return nil, false, fmt.Errorf("bucket %d of partition %d: %w", first+int32(i), partition, classify(err))
		}
		for field, value := range fields {
			subject, err1 := subjectOf(field)
			state, err2 := events.ParseState([]byte(value))
			if err1 == nil && err2 == nil && !state.IsZero() {
				all = append(all, Kept{subject, state})
			}
		}
	}
	return all, end < r.layout.Buckets, nil
}

// Owe implements [Store]. Where there are more subjects than one script may block
// Redis for, all but the last scripts note what was noted before.
func (r *Redis) Owe(ctx context.Context, partition int32, epoch int64, subjects []Kept, note Sweep) error {
	for first := 0; first == 0 || first < len(subjects); first += liveChunk {
		part := subjects[first:min(first+liveChunk, len(subjects))]
		interim := note
		if first+liveChunk < len(subjects) {
			interim.Open, interim.Bucket = true, 0
		}
		args := append(r.markArgs(partition, epoch, 1+2*len(part)), interim.String())
		for _, s := range part {
			args = append(args, itoa(offsetOf(s.State)), s.Subject.Reveal())
		}
		if _, err := r.ask(ctx, partition, call(ctx, r.scripts.owe, 2, args)); err != nil {
			return fmt.Errorf("owe: %w", err)
		}
	}
	return nil
}

// States implements [Store].
func (m *Memory) States(_ context.Context, partition, first, n int32) (all []Kept, more bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for s, state := range m.partition(partition).states {
		if _, b := m.layout.place(s); b >= first && b < first+n {
			all = append(all, Kept{s, state})
		}
	}
	return all, first+n < m.layout.Buckets, nil
}

// Owe implements [Store].
func (m *Memory) Owe(_ context.Context, partition int32, epoch int64, subjects []Kept, note Sweep) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.partition(partition)
	if err := at.owned(partition, epoch, 0); err != nil {
		return err
	}
	if !at.mark.Known {
		return &MovedError{Partition: partition}
	}
	for _, s := range subjects {
		if waits, ok := at.outbox[s.Subject]; !ok || waits > offsetOf(s.State) {
			at.outbox[s.Subject] = offsetOf(s.State)
		}
	}
	at.sweep = note
	return nil
}

// Swept implements [Store].
func (m *Memory) Swept(_ context.Context, partition int32) (Sweep, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.partition(partition).sweep, nil
}

// Publish implements [Store].
func (m *Memory) Publish(_ context.Context, p Policies) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.policies.Knows(p.Revision) {
		p.Grown = slices.Clone(p.Grown)
		m.policies = p
	}
	return nil
}

// Policies implements [Store].
func (m *Memory) Policies(context.Context) (Policies, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.policies, nil
}
