// Package window is a part of the log, as whoever is on call names it: from one time
// to another, between offsets of a partition, or what may be about one subject. Every
// command that takes a part of the log takes the same words and means the same part.
package window

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// Window is a part of the log. Its zero fields leave nothing out. Times are the log's
// own: those of the broker's clock.
type Window struct {
	Since, Until time.Time // Until is excluded
	Partitions   []int32
	From, To     int64 // offsets, of one partition; To is excluded, 0 is the end
	Subject      events.Subject
}

// Log says where the log begins and ends, and where a time is in it. [stream.Admin]
// is one.
type Log interface {
	Offsets(ctx context.Context, topic string) (map[int32]stream.Offsets, error)
	OffsetsAt(ctx context.Context, topic string, at time.Time) (map[int32]int64, error)
}

// Part is a window in one partition. It is empty where From is To.
type Part struct {
	stream.Range
	Log stream.Offsets // what the log has
	Cut bool           // the window may have begun in what the log has lost
}

// Bounded says whether the window leaves out anything of a partition.
func (w *Window) Bounded() bool {
	return !w.Since.IsZero() || !w.Until.IsZero() || w.From != 0 || w.To != 0
}

// Parts works out what the window is in each partition that it names, within what the
// log has. The topic has n partitions, or the error is a refusal.
func (w *Window) Parts(ctx context.Context, log Log, topic string, n int32) (map[int32]Part, error) {
	ends, err := log.Offsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	wanted, err := w.partitions(ends, n)
	if err != nil {
		return nil, err
	}
	from, to, err := w.ofTimes(ctx, log, topic, ends)
	if err != nil {
		return nil, err
	}
	parts := make(map[int32]Part, len(wanted))
	for _, p := range wanted {
		r, first := stream.Range{From: max(from[p], w.From), To: to[p]}, ends[p].First
		if w.From != 0 && w.From < first {
			return nil, exit.Refuse("partition %d: the log begins at %d, after %d", p, first, w.From)
		}
		if w.To != 0 {
			r.To = min(r.To, w.To)
		}
		r.To = max(r.From, r.To)
		parts[p] = Part{Range: r, Log: ends[p], Cut: first > 0 && r.From == first && w.From != first}
	}
	return parts, nil
}

// Some refuses parts that are all empty: whoever looks at nothing finds nothing wrong.
func Some(parts map[int32]Part) error {
	for _, p := range slices.Sorted(maps.Keys(parts)) {
		if parts[p].From < parts[p].To {
			return nil
		}
	}
	for _, p := range slices.Sorted(maps.Keys(parts)) {
		if parts[p].Cut {
			return exit.Refuse("nothing of the log is selected, and partition %d has lost what was in front of %d", p, parts[p].Log.First)
		}
	}
	return Nothing()
}

// Nothing is the error of a selection in which no record stands.
func Nothing() error { return exit.Misused("nothing of the log is selected") }

// partitions returns which may hold anything of the window.
func (w *Window) partitions(ends map[int32]stream.Offsets, n int32) ([]int32, error) {
	wanted := slices.Sorted(maps.Keys(ends))
	if int32(len(wanted)) != n {
		return nil, exit.Refuse("the topic has %d partitions, and its layout says %d", len(wanted), n)
	}
	if len(w.Partitions) > 0 {
		for _, p := range w.Partitions {
			if _, there := ends[p]; !there {
				return nil, exit.Misused("partition %d: the topic has none of that number", p)
			}
		}
		wanted = slices.Compact(slices.Sorted(slices.Values(w.Partitions)))
	}
	if !w.Subject.IsZero() {
		own := events.PartitionOf(w.Subject.Reveal(), n)
		if !slices.Contains(wanted, own) {
			return nil, exit.Misused("the subject's events are in partition %d", own)
		}
		wanted = []int32{own}
	}
	if (w.From != 0 || w.To != 0) && len(wanted) != 1 {
		return nil, exit.Misused("offsets are of one partition: name it")
	}
	return wanted, nil
}

// ofTimes turns the times into offsets.
func (w *Window) ofTimes(ctx context.Context, log Log, topic string, ends map[int32]stream.Offsets) (from, to map[int32]int64, err error) {
	from, to = make(map[int32]int64, len(ends)), make(map[int32]int64, len(ends))
	for p, o := range ends {
		from[p], to[p] = o.First, o.End
	}
	for _, side := range []struct {
		at   time.Time
		into map[int32]int64
	}{{w.Since, from}, {w.Until, to}} {
		if side.at.IsZero() {
			continue
		}
		found, err := log.OffsetsAt(ctx, topic, side.at)
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
