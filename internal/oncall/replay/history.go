package replay

import (
	"context"
	"fmt"

	"golang.org/x/time/rate"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/progress"
)

// history folds some subjects of one partition from the beginning of the log, as
// every service does, and goes on with the log as it grows. From a base on it
// remembers every step of a subject, so that it can say where the subject stood
// at any position since: services do not stand at the same one.
type history struct {
	bench     *Bench
	partition int32
	reader    *stream.Reader
	wanted    func(key []byte) bool // of the records of others nothing is read but the key
	pace      *rate.Limiter

	states map[events.Subject]events.State // at the base
	last   map[events.Subject]int64        // offset of the last record below the base
	steps  map[events.Subject][]step       // from the base on
	holds  map[events.Subject][]hold       // of all times; few have any
	base   int64
	at     int64 // everything below is folded
	event  events.Event
}

// step is one record of a subject, and where the subject stands behind it.
type step struct {
	offset int64
	state  events.State
}

// newHistory begins to read at the beginning of the log. The caller closes it.
func (b *Bench) newHistory(ctx context.Context, partition int32, first, base int64, wanted func([]byte) bool) (*history, error) {
	reader, err := b.Log.Reader(b.Topic)
	if err != nil {
		return nil, err
	}
	h := &history{
		bench: b, partition: partition, reader: reader, wanted: wanted, pace: b.pace(), base: base, at: first,
		states: make(map[events.Subject]events.State), last: make(map[events.Subject]int64), steps: make(map[events.Subject][]step),
		holds: make(map[events.Subject][]hold),
	}
	if err := reader.Start(ctx, map[int32]int64{partition: first}); err != nil {
		reader.Close()
		return nil, fmt.Errorf("partition %d: %w", partition, err)
	}
	return h, h.advance(ctx, base)
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
		n := h.take(f)
		if err := wait(ctx, h.pace, n); err != nil {
			return err
		}
	}
	return nil
}

// drain folds what has come meanwhile, and does not wait.
func (h *history) drain() {
	for {
		f, ok := h.reader.TryPoll()
		if !ok {
			return
		}
		h.take(f)
	}
}

// take folds a fetch and gives it back.
func (h *history) take(f *stream.Fetch) (records int) {
	defer f.Release()
	for i := range f.Batches {
		b := &f.Batches[i]
		if b.Partition != h.partition {
			continue
		}
		for j := range b.Records {
			h.fold(&b.Records[j])
		}
		records += len(b.Records)
		h.bench.progress().Add(h.partition, max(0, b.Next-h.at))
		h.at = max(h.at, b.Next)
	}
	return records
}

// fold folds one record, if it is of a subject that is wanted. What a service
// would have parked changes no state.
func (h *history) fold(r *stream.Record) {
	if !h.wanted(r.Key) || events.PartitionOf(r.Key, h.bench.Partitions) != h.partition {
		return
	}
	who, err := events.ParseSubject(string(r.Key))
	if err != nil {
		return
	}
	state := h.apply(who, r)
	if r.Offset < h.base {
		h.states[who], h.last[who] = state, r.Offset
		return
	}
	h.steps[who] = append(h.steps[who], step{r.Offset, state})
}

// apply returns the state behind a record, and notes whom it holds or releases.
func (h *history) apply(who events.Subject, r *stream.Record) events.State {
	state := h.now(who)
	h.event = events.Event{}
	err := h.bench.Decoder.Decode(r, &h.event)
	h.event.Logged = h.bench.stamp(h.partition, r)
	switch {
	case err != nil:
		h.event.First = events.Stamp{} // what cannot be read says nothing of its past
		if h.event.Type == 0 || h.event.Type.Restricts() {
			h.hold(who, false)
		}
		return state
	case !r.LogAppend:
		h.hold(who, false)
		return state
	}
	next, out := h.bench.Rules.Apply(state, &h.event)
	switch {
	case out.Verdict != events.Park && !h.event.First.IsZero():
		h.hold(who, true)
	case out.Verdict == events.Park && !out.Aside:
		h.hold(who, false)
	}
	return next
}

// now returns the newest state.
func (h *history) now(who events.Subject) events.State {
	if steps := h.steps[who]; len(steps) > 0 {
		return steps[len(steps)-1].state
	}
	return h.states[who]
}

// judgement is where a subject stands by the log, at every position from lo to hi.
type judgement struct {
	state  events.State
	lo, hi int64
}

// judge returns where a subject stood when everything below next was applied. It
// must lie between the base and what is folded.
func (h *history) judge(who events.Subject, next int64) judgement {
	j := judgement{state: h.states[who], hi: h.at}
	if last, any := h.last[who]; any {
		j.lo = last + 1
	}
	for _, s := range h.steps[who] {
		if s.offset >= next {
			j.hi = s.offset
			break
		}
		j.state, j.lo = s.state, s.offset+1
	}
	return j
}

// touched says whether a record of the subject stands at or behind an offset.
func (h *history) touched(who events.Subject, since int64) bool {
	if steps := h.steps[who]; len(steps) > 0 {
		return steps[len(steps)-1].offset >= since
	}
	last, any := h.last[who]
	return any && last >= since
}

// stamp says where a record stands.
func (b *Bench) stamp(partition int32, r *stream.Record) events.Stamp {
	return events.Stamp{
		Position: events.Position{Generation: b.Generation, Partition: partition, Offset: r.Offset},
		Appended: events.Millis(r.Time),
	}
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
