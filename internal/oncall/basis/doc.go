// Package basis is what a fold of the log may begin with where the log itself has
// lost its beginning: the states that the snapshots of consent.state.v1 hold.
//
// Snapshots are a copy, and a copy may be wrong. So they are believed only with a
// witness: a service whose cache, at some position, had the very digest that
// snapshots and log come to there. Its digest sums up what it folded itself, event
// by event, whatever became of the states since.
package basis

import (
	"context"
	"errors"
	"fmt"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/snapshot"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/fold"
)

// Basis is what the snapshots of one partition say, beside the states.
type Basis struct {
	From int64             // what was folded from here on is to be read from the log
	Top  int64             // no state knows an event at or above
	Held map[string]string // as in [snapshot.Holds]
}

// Read reads all that a partition of the state topic holds, and calls each with
// every state; the newest of a subject comes last. Where the snapshots are of no
// use, why says so; err is for each, and for what may be tried again.
func Read(ctx context.Context, r *stream.Reader, partition int32, generation uint32, each func(events.Subject, events.State) error) (b Basis, why string, err error) {
	if _, err := r.Offsets(ctx, partition); err != nil { // a topic that is not there would be waited for
		return b, fmt.Sprintf("the state topic cannot be read: %v", err), ctx.Err()
	}
	var checkpoint *snapshot.Checkpoint
	var holds *snapshot.Holds
	err = snapshot.ReadAll(ctx, r, []int32{partition}, func(_ int32, e snapshot.Entry) error {
		switch {
		case e.Checkpoint != nil:
			checkpoint = e.Checkpoint
		case e.Holds != nil:
			holds = e.Holds
		case !e.Subject.IsZero() && !e.State.IsZero():
			if at, known := e.State.Version(); known {
				b.Top = max(b.Top, at.Offset+1)
			}
			return each(e.Subject, e.State)
		}
		return nil
	})
	switch {
	case errors.Is(err, snapshot.ErrRecord):
		return b, fmt.Sprintf("the state topic cannot be read: %v", err), nil
	case err != nil:
		return b, "", err
	case checkpoint == nil || holds == nil:
		return b, "the state topic has no checkpoint", nil
	case checkpoint.Generation != generation || holds.Generation != generation:
		return b, fmt.Sprintf("the snapshots are of generation %d", checkpoint.Generation), nil
	case holds.Truncated:
		return b, "more subjects are held than the state topic tells of", nil
	}
	b.From, b.Held = checkpoint.Acted, holds.Held
	b.Top = max(b.Top, b.From)
	return b, "", nil
}

// gap says why a log with that range does not continue the snapshots; "": it does.
func (b *Basis) gap(log stream.Offsets) string {
	if b.From < log.First || b.From > log.End {
		return fmt.Sprintf("the snapshots reach to %d, and the log has %d to %d", b.From, log.First, log.End)
	}
	return ""
}

// Range tells what the log has of partitions, as [stream.Reader.Offsets] does.
type Range func(ctx context.Context, partitions ...int32) (map[int32]stream.Offsets, error)

// Seed begins a fold with the snapshots of its partition: those of its subjects,
// and of nobody but whom wanted chooses, where that is given. The fold goes on from
// Basis.From. The log's range is asked for when the snapshots were read. It returns
// why the snapshots are of no use, and [fold.ErrCrowd] as folding does; the fold is
// of no use either then.
func Seed(ctx context.Context, r *stream.Reader, f *fold.Fold, generation uint32, log Range, wanted func(events.Subject) bool) (b Basis, why string, err error) {
	chosen := func(s events.Subject) bool { return wanted == nil || wanted(s) }
	b, why, err = Read(ctx, r, f.Partition, generation, func(s events.Subject, state events.State) error {
		if !chosen(s) {
			return nil
		}
		return f.Seed(s, state)
	})
	if why != "" || err != nil {
		return b, why, err
	}
	kept, err := log(ctx, f.Partition)
	if err != nil {
		return b, "", err
	}
	if why = b.gap(kept[f.Partition]); why != "" {
		return b, why, nil
	}
	for id, held := range b.Held {
		if s, err := events.ParseSubject(id); err == nil && chosen(s) {
			f.SeedHolds(s, held)
		}
	}
	f.Next = b.From
	return b, "", nil
}
