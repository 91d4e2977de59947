package generation

import (
	"context"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// lot is how many states are on the way at a time: a megabyte or two.
const lot = 5_000

// carrying is what one run enters into the new log.
type carrying struct {
	*layout
	people []cache.Kept
	digest map[int32]cache.Digest // of the new partitions, when all is folded
}

// carry enters every subject's newest state into the new log, out of the cache of one
// service, and only what that cache's digest vouches for. A carry that was interrupted
// is done again: who is entered twice is entered the same. Once a service's layout is
// the new one nothing is carried any more.
func (l *layout) carry(ctx context.Context) (string, error) {
	if len(l.waiting()) < len(l.services) {
		return "", nil
	}
	source := l.services[0].Old()
	c := &carrying{layout: l, digest: make(map[int32]cache.Digest)}
	total := make(map[int32]int64, l.Old.Partitions)
	for p := range l.Old.Partitions {
		total[p] = 0 // nobody knows how many subjects there are
	}
	l.Progress.Start(total)
	defer l.Progress.Done()
	for p := range l.Old.Partitions {
		if err := c.partition(ctx, source, p); err != nil {
			return "", fmt.Errorf("carry partition %d: %w", p, err)
		}
	}
	for _, s := range l.services {
		s.expect = c.digest
	}
	return fmt.Sprintf("carried %d subjects into %s", l.report.Subjects, l.New.Topic), nil
}

// partition carries one old partition.
func (c *carrying) partition(ctx context.Context, source *cache.Inspector, p int32) error {
	var digest cache.Digest
	err := source.Buckets(ctx, p, 0, source.Layout().Buckets, func(bucket int32, states map[string]string) error {
		for field, stored := range states {
			one, err := c.read(source.Layout(), p, bucket, field, stored)
			if err != nil {
				return err
			}
			digest = digest.Swap(one.Subject, events.State{}, one.State)
			c.people = append(c.people, one)
		}
		if len(c.people) < lot {
			return nil
		}
		return c.flush(ctx, p)
	})
	if err != nil {
		return err
	}
	if err := c.flush(ctx, p); err != nil {
		return err
	}
	spots, err := source.Spots(ctx, p)
	if err != nil {
		return err
	}
	if spots[0].Digest != digest {
		return exit.Refuse("the states of %s sum up to %012x, and %012x is what it folded: \"consentctl verify\" and \"replay\" first",
			source.Layout().Service, uint64(digest), uint64(spots[0].Digest))
	}
	return nil
}

// read reads one state of the old cache. What is none is not carried, and nobody is
// left out in silence.
func (c *carrying) read(l cache.Layout, p, bucket int32, field, stored string) (cache.Kept, error) {
	subject, err := cache.SubjectOf(field)
	if err == nil && (l.PartitionOf(subject) != p || l.BucketOf(subject) != bucket) {
		err = fmt.Errorf("it is not its place")
	}
	var state events.State
	if err == nil {
		state, err = events.ParseState([]byte(stored))
	}
	if err == nil {
		if at, known := state.Version(); !known || at.Partition != p || at.Generation != c.Old.Generation {
			err = events.ErrState
		}
	}
	if err != nil {
		return cache.Kept{}, exit.Refuse("bucket %d of %s holds what is no state (%w): \"consentctl verify\" and \"replay\" first", bucket, l.Service, err)
	}
	return cache.Kept{Subject: subject, State: state}, nil
}

// flush enters what was read into the new log, and notes what its partitions' digests
// come to.
func (c *carrying) flush(ctx context.Context, p int32) error {
	messages := make([]stream.Message, len(c.people))
	for i, one := range c.people {
		m, err := cloudevent.CarriedMessage(one.Subject, one.State, time.Now())
		if err != nil {
			return err
		}
		m.Topic = c.New.Topic
		messages[i] = m
	}
	if len(messages) == 0 {
		return nil
	}
	acks, err := c.Publisher.PublishAll(ctx, messages)
	if err != nil {
		return fmt.Errorf("enter %d states into %s: %w", len(messages), c.New.Topic, err)
	}
	for i, one := range c.people {
		at := events.Version{Generation: c.New.Generation, Partition: acks[i].Partition, Offset: acks[i].Offset}
		state, err := c.Rules.Carry(one.State, at)
		if err != nil {
			return fmt.Errorf("enter %v: %w", one.Subject, err)
		}
		c.digest[at.Partition] = c.digest[at.Partition].Swap(one.Subject, events.State{}, state)
	}
	c.report.Subjects += int64(len(c.people))
	c.Progress.Add(p, int64(len(c.people)))
	c.people = c.people[:0]
	return nil
}
