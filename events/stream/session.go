package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Earliest, as a position to start from, is the first offset that the log still has.
const Earliest int64 = -2

// ErrRebalanced is the cause with which a session's context ends when the group forms anew.
var ErrRebalanced = errors.New("group is rebalancing")

// Session is one member's part in one generation of the group: its partitions, until the next rebalance.
// Poll and TryPoll belong to one goroutine; everything else may be called from any.
type Session struct {
	ctx       context.Context
	topic     string
	numbers   []int32
	committed map[int32]int64
	fetcher   *fetcher
	commits   *committer
}

// Partitions are those assigned to this member, in rising order; none when the group has more members
// than the topic has partitions.
func (s *Session) Partitions() []int32 { return slices.Clone(s.numbers) }

// Committed gives the offset that the group last committed for a partition. It is a hint: the resume
// point that counts is kept with the state. ok is false when there is none.
func (s *Session) Committed(partition int32) (offset int64, ok bool) {
	offset, ok = s.committed[partition]
	return offset, ok
}

// LogStart asks for the first offset that the log of a partition still has.
func (s *Session) LogStart(ctx context.Context, partition int32) (int64, error) {
	first, err := s.fetcher.links.offsetsAt(ctx, timestampFirst, []int32{partition})
	return first[partition], err
}

// Start begins to read partitions at the given offsets, or at Earliest. It may be called once for all or
// for some after others, as their resume points become known. It is an error to start a partition that
// is not of this session, or twice: that is what Seek is for.
func (s *Session) Start(from map[int32]int64) error {
	for p := range from {
		if !slices.Contains(s.numbers, p) {
			return fmt.Errorf("start %s/%d: not assigned to this member", s.topic, p)
		}
		if _, started := s.fetcher.handed(p); started {
			return fmt.Errorf("start %s/%d: already started", s.topic, p)
		}
	}
	return s.fetcher.start(s.ctx, from)
}

// Poll waits for the next answer of a broker. A Fetch without records is an answer too: it proves that
// nothing newer was there when it was asked. Release the Fetch when done with its records.
//
// The error is an *OutOfRangeError, *CorruptError or *PartitionError when a partition cannot be read;
// the others go on with the next Poll. Any other error is the end of ctx or of the session.
func (s *Session) Poll(ctx context.Context) (*Fetch, error) {
	if err := s.ctx.Err(); err != nil {
		return nil, context.Cause(s.ctx)
	}
	return s.fetcher.next(ctx, s.ctx)
}

// TryPoll gives what is already there, and never waits. What is wrong with a partition is left for Poll.
func (s *Session) TryPoll() (*Fetch, bool) { return s.fetcher.try() }

// Seek makes a started partition read on from another offset. What was under way for it is dropped: the
// next records of it are those at the offset. A partition that stood still after an error moves again.
func (s *Session) Seek(partition int32, offset int64) error {
	if _, started := s.fetcher.handed(partition); !started {
		return fmt.Errorf("seek %s/%d: not started", s.topic, partition)
	}
	return s.fetcher.start(s.ctx, map[int32]int64{partition: offset})
}

// Commit notes that everything in front of the offsets is done. It returns at once; the group is told
// from time to time, and at the end of the session. Offsets that Poll has not handed out yet are an error.
func (s *Session) Commit(offsets map[int32]int64) error {
	for p, offset := range offsets {
		if handed, started := s.fetcher.handed(p); !started || offset > handed {
			return fmt.Errorf("commit %s/%d@%d: not read in this session", s.topic, p, offset)
		}
	}
	s.commits.add(offsets)
	return nil
}

// start places cursors, looking up where the log begins if that is asked for.
func (f *fetcher) start(ctx context.Context, from map[int32]int64) error {
	var lookup []int32
	for p, offset := range from {
		switch {
		case offset == Earliest:
			lookup = append(lookup, p)
		case offset < 0:
			return fmt.Errorf("start %s/%d@%d: no such offset", f.conf.Topic, p, offset)
		}
	}
	positions := maps.Clone(from)
	if len(lookup) > 0 {
		first, err := f.links.offsetsAt(ctx, timestampFirst, lookup)
		if err != nil {
			return err
		}
		maps.Copy(positions, first)
	}
	for p, offset := range positions {
		f.place(p, offset)
	}
	return nil
}
