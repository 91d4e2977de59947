package cache

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/events"
)

// Load implements [Store].
func (r *Redis) Load(ctx context.Context, partition int32, subjects []events.Subject) ([]events.State, error) {
	states := make([]events.State, 0, len(subjects))
	e := r.encoders.Get().(*encoder)
	defer func() {
		e.forget()
		r.encoders.Put(e)
	}()
	e.places.find(r.layout, partition, len(subjects), func(i int) events.Subject { return subjects[i] })
	var cmds []*redis.Cmd
	for part := range slices.Chunk(e.places.list, wideChunk) {
		args := newArgs(2 * len(part))
		for i := range part {
			args = append(args, &part[i].bucket)
		}
		for i := range part {
			args = append(args, &part[i].field)
		}
		cmds = append(cmds, call(ctx, r.scripts.load, len(part), args))
	}
	r.pipeline(ctx, cmds)
	for _, cmd := range cmds {
		values, err := cmd.Slice()
		if err != nil {
			return nil, fmt.Errorf("load from partition %d: %w", partition, classify(err))
		}
		for _, v := range values {
			states = append(states, stored(v))
		}
	}
	if len(states) != len(subjects) {
		return nil, fmt.Errorf("load from partition %d: redis answered %d states for %d subjects", partition, len(states), len(subjects))
	}
	return states, nil
}

// stored reads a state out of a reply. What is none counts as lost: the fold
// starts anew from nothing, which denies, and the script finds out.
func stored(v any) events.State {
	text, _ := v.(string)
	state, err := events.ParseState([]byte(text))
	if err != nil {
		return events.State{}
	}
	return state
}

// Pending implements [Store].
func (r *Redis) Pending(ctx context.Context, partition int32, limit int) ([]Pending, error) {
	if limit < 1 {
		return []Pending{}, nil
	}
	outbox := r.layout.Prefix(partition) + outboxName
	entries, err := r.client.ZRangeWithScores(ctx, outbox, 0, int64(limit)-1).Result()
	if err != nil {
		return nil, fmt.Errorf("outbox of partition %d: %w", partition, classify(err))
	}
	waiting := make([]Pending, 0, len(entries))
	subjects := make([]events.Subject, 0, len(entries))
	for _, entry := range entries {
		member, _ := entry.Member.(string)
		s, err := events.ParseSubject(member)
		if err != nil {
			r.log.Error("dropped a strange outbox entry", "partition", partition, "error", err)
			if err := r.client.ZRem(ctx, outbox, member).Err(); err != nil {
				return nil, fmt.Errorf("outbox of partition %d: %w", partition, classify(err))
			}
			continue
		}
		subjects = append(subjects, s)
		waiting = append(waiting, Pending{Subject: s, Offset: int64(entry.Score)})
	}
	states, err := r.Load(ctx, partition, subjects)
	if err != nil {
		return nil, err
	}
	for i := range waiting {
		waiting[i].State = states[i]
	}
	return waiting, nil
}

// Done implements [Store].
func (r *Redis) Done(ctx context.Context, partition int32, epoch int64, acted []Pending) (int64, error) {
	var mark Mark
	for first := 0; first == 0 || first < len(acted); first += liveChunk {
		part := acted[first:min(first+liveChunk, len(acted))]
		var at places
		at.find(r.layout, partition, len(part), func(i int) events.Subject { return part[i].Subject })
		args := r.markArgs(partition, epoch, 4*len(part))
		args = args[:len(args)-1] // buckets are keys: they stand before the epoch
		for i := range part {
			args = append(args, at.list[i].bucket)
		}
		args = append(args, itoa(epoch))
		for i, p := range part {
			args = append(args, at.list[i].field, p.Subject.Reveal(), version(p.State))
		}
		var err error
		if mark, err = r.ask(ctx, partition, call(ctx, r.scripts.done, 2+len(part), args)); err != nil {
			return 0, fmt.Errorf("outbox: %w", err)
		}
	}
	return mark.Acted, nil
}

// Lookup implements [Store].
func (r *Redis) Lookup(ctx context.Context, s events.Subject) (View, error) {
	return r.lookup.view(ctx, r.client, r.layout, s)
}
