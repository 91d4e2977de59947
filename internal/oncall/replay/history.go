package replay

import (
	"context"
	"fmt"
	"math"

	"golang.org/x/time/rate"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/basis"
	"github.com/kelisim/kelisim/internal/oncall/fold"
	"github.com/kelisim/kelisim/internal/oncall/progress"
)

// history folds some subjects of one partition from the beginning of the log, as
// every service does, or from the snapshots where the log has lost it; and goes on
// with the log as it grows. From a base on it remembers every step of a subject, so
// that it can say where the subject stood at any position since: services do not
// stand at the same one.
type history struct {
	bench     *Bench
	partition int32
	reader    *stream.Reader
	wanted    func(key []byte) bool // of the records of others nothing is read but the key
	pace      *rate.Limiter

	fold  *fold.Fold                      // of everything below at
	base  int64                           // what came before has no steps
	first map[events.Subject]events.State // at the base, of who has steps
	last  map[events.Subject]int64        // offset of the last record below the base
	steps map[events.Subject][]step       // from the base on
	at    int64                           // everything below is folded

	basis *basis.Basis // what it began with; nil: with the log
}

// step is one record of a subject, and where the subject stands behind it.
type step struct {
	offset int64
	state  events.State
}

// newHistory begins to read at the beginning of the log, or with the snapshots. The
// caller closes it.
func (b *Bench) newHistory(ctx context.Context, partition int32, log stream.Offsets, base int64, wanted func([]byte) bool) (*history, error) {
	reader, err := b.Log.Reader(b.Topic)
	if err != nil {
		return nil, err
	}
	layout := b.layout()
	h := &history{
		bench: b, partition: partition, reader: reader, wanted: wanted, pace: b.pace(), base: base,
		fold:  fold.New(fold.Config{Rules: b.Rules, Layout: layout, Limit: math.MaxInt}, partition, fold.Whole(layout), 0),
		first: make(map[events.Subject]events.State), last: make(map[events.Subject]int64), steps: make(map[events.Subject][]step),
	}
	if log.First > 0 {
		err = h.seed(ctx, log.First)
	}
	if err == nil {
		err = reader.Start(ctx, map[int32]int64{partition: h.at})
	}
	if err == nil {
		err = h.advance(ctx, base)
	}
	if err != nil {
		reader.Close()
		return nil, err
	}
	return h, nil
}

func (h *history) close() { h.reader.Close() }

// pacePart is which part of a second's share goes at once, when there is a pace.
const pacePart = 10

func (b *Bench) pace() *rate.Limiter {
	if b.Pace <= 0 {
		return rate.NewLimiter(rate.Inf, 1)
	}
	return rate.NewLimiter(rate.Limit(b.Pace), max(1, int(b.Pace/pacePart)))
}

// wait lets n records or states through.
func wait(ctx context.Context, pace *rate.Limiter, n int) error {
	for n > 0 && pace.Limit() != rate.Inf {
		part := min(n, pace.Burst())
		if err := pace.WaitN(ctx, part); err != nil {
			return err
		}
		n -= part
	}
	return nil
}

// advance folds on until everything below to is folded. Beyond the end of the log
// it waits.
func (h *history) advance(ctx context.Context, to int64) error {
	for h.at < to {
		if err := h.bench.mayGoOn(ctx); err != nil {
			return err
		}
		f, err := h.reader.Poll(ctx)
		if err != nil {
			return fmt.Errorf("read partition %d: %w", h.partition, err)
		}
		n, err := h.take(f)
		if err != nil {
			return err
		}
		if err := wait(ctx, h.pace, n); err != nil {
			return err
		}
	}
	return nil
}

// drain folds what has come meanwhile, and does not wait.
func (h *history) drain() error {
	for {
		f, ok := h.reader.TryPoll()
		if !ok {
			return nil
		}
		if _, err := h.take(f); err != nil {
			return err
		}
	}
}

// take folds a fetch and gives it back.
func (h *history) take(f *stream.Fetch) (records int, err error) {
	defer f.Release()
	for i := range f.Batches {
		b := &f.Batches[i]
		if b.Partition != h.partition {
			continue
		}
		for j := range b.Records {
			if err := h.record(b.Records[j : j+1]); err != nil {
				return records, err
			}
		}
		records += len(b.Records)
		h.bench.progress().Add(h.partition, max(0, b.Next-h.at))
		h.at = max(h.at, b.Next)
	}
	return records, nil
}

// record folds one record, if it is of a subject that is wanted.
func (h *history) record(r []stream.Record) error {
	key, offset := r[0].Key, r[0].Offset
	if string(key) == cloudevent.BarrierKey {
		return h.fold.Records(r) // whoever is wanted: it says what counts
	}
	if !h.wanted(key) || events.PartitionOf(key, h.bench.Partitions) != h.partition {
		return nil
	}
	who, err := events.ParseSubject(string(key))
	if err != nil {
		return nil // it names nobody, and nobody has it
	}
	before := h.fold.Person(who).State
	if err := h.fold.Records(r); err != nil {
		return err
	}
	if offset < h.base {
		h.last[who] = offset
		return nil
	}
	if len(h.steps[who]) == 0 {
		h.first[who] = before
	}
	h.steps[who] = append(h.steps[who], step{offset, h.fold.Person(who).State})
	return nil
}

// judgement is where a subject stands by the log, at every position from lo to hi.
// It is none where the snapshots that the history began with know a later event:
// what stood before it they have forgotten.
type judgement struct {
	state  events.State
	lo, hi int64
	none   bool
}

// judge returns where a subject stood when everything below next was applied. It
// must lie between the base and what is folded.
func (h *history) judge(who events.Subject, next int64) judgement {
	j := judgement{state: h.fold.Person(who).State, hi: h.at}
	if last, any := h.last[who]; any {
		j.lo = last + 1
	}
	if len(h.steps[who]) > 0 {
		j.state = h.first[who]
	}
	for _, s := range h.steps[who] {
		if s.offset >= next {
			j.hi = s.offset
			break
		}
		j.state, j.lo = s.state, s.offset+1
	}
	if at, known := j.state.Version(); known {
		j.lo, j.none = max(j.lo, at.Offset+1), at.Offset >= next
	}
	return j
}

// touched says whether a record of the subject stands at or behind an offset, or
// an event that a snapshot knows.
func (h *history) touched(who events.Subject, since int64) bool {
	if at, known := h.fold.Person(who).State.Version(); known && at.Offset >= since {
		return true
	}
	if steps := h.steps[who]; len(steps) > 0 {
		return steps[len(steps)-1].offset >= since
	}
	last, any := h.last[who]
	return any && last >= since
}

// layout returns how subjects are laid out: alike in all services, but for the
// buckets, which matter to none of this.
func (b *Bench) layout() (l cache.Layout) {
	for _, c := range b.Caches {
		l = c.Layout()
	}
	return l
}

func (b *Bench) progress() Progress {
	if b.Progress == nil {
		return progress.None()
	}
	return b.Progress
}

// mayGoOn waits while somebody holds the work up.
func (b *Bench) mayGoOn(ctx context.Context) error {
	if b.Hold != nil {
		if err := b.Hold(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}
