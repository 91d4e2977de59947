package replay

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cekafka/cesql"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// Selection says which records of the log are replayed. Its zero fields choose
// all. Times are the log's own: those of the broker's clock.
type Selection struct {
	Since, Until time.Time // Until is excluded
	Partitions   []int32
	From, To     int64 // offsets, of one partition; To is excluded, 0 is the end
	Subject      events.Subject
	Types        []events.Type
	Sources      []string // CloudEvents sources
	Filter       *cesql.Filter
}

// ranges works out what the selection is in each partition, within what the log
// has. A partition in which nothing is selected is left out.
func (b *Bench) ranges(ctx context.Context, s *Selection) (map[int32]stream.Range, map[int32]stream.Offsets, error) {
	ends, err := b.Log.Offsets(ctx, b.Topic)
	if err != nil {
		return nil, nil, err
	}
	wanted, err := s.partitions(ends, b.Partitions)
	if err != nil {
		return nil, nil, err
	}
	from, to, err := b.ofTimes(ctx, s, ends)
	if err != nil {
		return nil, nil, err
	}
	out := make(map[int32]stream.Range)
	for _, p := range wanted {
		r := stream.Range{From: max(from[p], s.From), To: to[p]}
		if s.From != 0 && s.From < ends[p].First {
			return nil, nil, exit.Refuse("partition %d: the log begins at %d, after %d", p, ends[p].First, s.From)
		}
		if s.To != 0 {
			r.To = min(r.To, s.To)
		}
		if r.From < r.To {
			out[p] = r
		}
	}
	return out, ends, nil
}

// partitions returns which may hold anything that is selected.
func (s *Selection) partitions(ends map[int32]stream.Offsets, n int32) ([]int32, error) {
	wanted := slices.Sorted(maps.Keys(ends))
	if int32(len(wanted)) != n {
		return nil, exit.Refuse("the topic has %d partitions, and its layout says %d", len(wanted), n)
	}
	if len(s.Partitions) > 0 {
		for _, p := range s.Partitions {
			if _, there := ends[p]; !there {
				return nil, exit.Misused("partition %d: the topic has none of that number", p)
			}
		}
		wanted = slices.Compact(slices.Sorted(slices.Values(s.Partitions)))
	}
	if !s.Subject.IsZero() {
		own := events.PartitionOf(s.Subject.Reveal(), n)
		if !slices.Contains(wanted, own) {
			return nil, exit.Misused("the subject's events are in partition %d", own)
		}
		wanted = []int32{own}
	}
	if (s.From != 0 || s.To != 0) && len(wanted) != 1 {
		return nil, exit.Misused("offsets are of one partition: name it")
	}
	return wanted, nil
}

// ofTimes turns the times into offsets.
func (b *Bench) ofTimes(ctx context.Context, s *Selection, ends map[int32]stream.Offsets) (from, to map[int32]int64, err error) {
	from, to = make(map[int32]int64, len(ends)), make(map[int32]int64, len(ends))
	for p, o := range ends {
		from[p], to[p] = o.First, o.End
	}
	for _, side := range []struct {
		at   time.Time
		into map[int32]int64
	}{{s.Since, from}, {s.Until, to}} {
		if side.at.IsZero() {
			continue
		}
		found, err := b.Log.OffsetsAt(ctx, b.Topic, side.at)
		if err != nil {
			return nil, nil, fmt.Errorf("offsets at %s: %w", side.at.UTC().Format(time.RFC3339), err)
		}
		for p, o := range ends {
			side.into[p] = o.End
			if found[p] >= 0 {
				side.into[p] = min(max(found[p], o.First), o.End)
			}
		}
	}
	return from, to, nil
}
