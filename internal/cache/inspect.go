package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/events"
)

// Inspector reads what a service's cache holds, as it is, for tools that compare
// it with the log. It only reads, and takes nothing for granted: a field or a
// state may be anything. It may be used by many goroutines.
type Inspector struct {
	client redis.UniversalClient
	layout Layout
}

// NewInspector returns an inspector of the cache of that layout. It asks nothing yet.
func NewInspector(client redis.UniversalClient, l Layout) *Inspector { return &Inspector{client, l} }

// Layout returns the layout of the cache.
func (i *Inspector) Layout() Layout { return i.layout }

// Spot is where a partition stands. The zero Spot knows nothing.
type Spot struct {
	Known  bool          // there is a position, and no script died in the partition
	Next   int64         // the next offset to apply
	Top    int64         // no stored state has a version at or above
	Digest Digest        // of all stored states, as the consumer keeps it
	Midway bool          // a batch is half written: the digest is of no position
	Torso  bool          // it was built from a log that had lost its beginning: nobody allows by it
	Stage  events.Stage  // of the log at Next
	Waits  int64         // subjects whose action is still to be done
	Fresh  events.Millis // by the clock of Redis; 0 is never
}

// Spots reads where partitions stand, in one round trip.
func (i *Inspector) Spots(ctx context.Context, partitions ...int32) ([]Spot, error) {
	pipe := i.client.Pipeline()
	cmds, waits := make([]*redis.SliceCmd, len(partitions)), make([]*redis.IntCmd, len(partitions))
	for n, p := range partitions {
		cmds[n] = pipe.HMGet(ctx, i.layout.Prefix(p)+positionName, "next", "top", "digest", "chunk", "torso", "stage", "fresh")
		waits[n] = pipe.ZCard(ctx, i.layout.Prefix(p)+outboxName)
	}
	_, _ = pipe.Exec(ctx) // only the first error: each command has its own
	spots := make([]Spot, len(partitions))
	for n, cmd := range cmds {
		values, err := cmd.Result()
		if err != nil {
			return nil, i.failed(partitions[n], classify(err))
		}
		p := parser{values: values}
		if p.text(0) == "" || strings.HasSuffix(p.text(3), "?") {
			continue
		}
		if err := waits[n].Err(); err != nil { // else nobody would seem to wait
			return nil, i.failed(partitions[n], classify(err))
		}
		spots[n] = Spot{
			Known: true, Next: p.int(0), Top: p.optional(1), Digest: Digest(p.optional(2)), Midway: strings.HasSuffix(p.text(3), "+"),
			Torso: p.text(4) != "", Stage: p.stage(5), Waits: waits[n].Val(), Fresh: events.Millis(p.optional(6)),
		}
		if p.err != nil {
			return nil, i.failed(partitions[n], p.err)
		}
	}
	return spots, nil
}

func (i *Inspector) failed(partition int32, err error) error {
	return fmt.Errorf("cache of %s, partition %d: %w", i.layout.Service, partition, err)
}

// Buckets reads the buckets from first to end, and calls each with all that one
// holds: stored states by the subjects' fields ([AppendField]). A bucket that is no
// hash counts as empty: what ought to be in it is missing.
func (i *Inspector) Buckets(ctx context.Context, partition, first, end int32, each func(bucket int32, states map[string]string) error) error {
	for ; first < end; first += scanChunk {
		pipe := i.client.Pipeline()
		var cmds []*redis.MapStringStringCmd
		for b := first; b < min(first+scanChunk, end); b++ {
			cmds = append(cmds, pipe.HGetAll(ctx, i.layout.bucketKey(partition, b)))
		}
		_, _ = pipe.Exec(ctx) // only the first error: each command has its own
		for n, cmd := range cmds {
			states, err := cmd.Result()
			if err = classify(err); err != nil && !errors.Is(err, ErrDamaged) {
				return i.failed(partition, err)
			}
			if err := each(first+int32(n), states); err != nil {
				return err
			}
		}
	}
	return nil
}

// inspectLot is how many states one script-free read asks for at a time.
const inspectLot = 512

// States reads the stored states of subjects of a partition, in their order;
// empty where there is none.
func (i *Inspector) States(ctx context.Context, partition int32, subjects []events.Subject) ([]string, error) {
	out := make([]string, 0, len(subjects))
	var at places
	for part := range slices.Chunk(subjects, inspectLot) {
		at.find(i.layout, partition, len(part), func(n int) events.Subject { return part[n] })
		pipe := i.client.Pipeline()
		cmds := make([]*redis.StringCmd, len(part))
		for n := range part {
			cmds[n] = pipe.HGet(ctx, at.list[n].bucket, at.list[n].field)
		}
		_, _ = pipe.Exec(ctx) // only the first error: each command has its own
		for _, cmd := range cmds {
			text, err := cmd.Result()
			if err = classify(err); err != nil && !errors.Is(err, ErrDamaged) {
				return nil, i.failed(partition, err)
			}
			out = append(out, text)
		}
	}
	return out, nil
}

// Held is one event that holds a subject, or held it.
type Held struct {
	At       events.Position // zero stands for more than fit
	Released bool
}

// Holds reads the holds of one subject.
func (i *Inspector) Holds(ctx context.Context, s events.Subject) ([]Held, error) {
	partition := i.layout.PartitionOf(s)
	text, err := i.client.HGet(ctx, i.layout.Prefix(partition)+heldName, s.Reveal()).Result()
	if err = classify(err); err != nil {
		return nil, i.failed(partition, err)
	}
	return holds(text).list(), nil
}

// AllHolds reads the holds of every subject of a partition, and calls each with
// them. A member that is no subject is passed as the zero Subject.
func (i *Inspector) AllHolds(ctx context.Context, partition int32, each func(events.Subject, []Held) error) error {
	entries := i.client.HScan(ctx, i.layout.Prefix(partition)+heldName, 0, "", scanCount).Iterator()
	for entries.Next(ctx) {
		subject, _ := events.ParseSubject(entries.Val())
		if !entries.Next(ctx) {
			break
		}
		if err := each(subject, holds(entries.Val()).list()); err != nil {
			return err
		}
	}
	if err := classify(entries.Err()); err != nil {
		return i.failed(partition, err)
	}
	return nil
}

// list takes the entries apart. What cannot be read holds, as everywhere.
func (h holds) list() []Held {
	var all []Held
	for entry := range strings.SplitSeq(string(h), " ") {
		text, released := strings.CutPrefix(entry, "-")
		if text == "" {
			continue
		}
		at, err := events.ParsePosition(text)
		all = append(all, Held{At: at, Released: released && err == nil})
	}
	return all
}

// AppendField appends the name of the subject's field in its bucket.
func AppendField(to []byte, s events.Subject) []byte { return appendField(to, s) }

// SubjectOf returns the subject of a field, or an error when it is none's.
func SubjectOf(field string) (events.Subject, error) { return subjectOf(field) }

// BucketOf returns the number of the bucket that holds the subject.
func (l Layout) BucketOf(s events.Subject) int32 {
	_, bucket := l.place(s)
	return bucket
}

// Of returns an inspector of another layout's keys in the same Redis, such as
// those of a [Staging].
func (i *Inspector) Of(l Layout) *Inspector { return NewInspector(i.client, l) }
