package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// Do carries the plan out, a lot of one partition at a time, and then looks at
// every subject once more. It can be interrupted anywhere: what is done shows in
// the caches, and the checkpoint spares looking. Subjects that moved on are left
// as they are; then the error says that the plan was done in part.
func (w *Work) Do(ctx context.Context) (*Report, error) {
	report := &Report{Plan: w.plan.Hash, Services: map[string]Counts{}, Busy: []string{}, Wrong: map[Kind]int{}}
	for i := range w.plan.Services {
		report.Services[w.plan.Services[i].Service] = Counts{}
	}
	for name, c := range w.done.Done {
		service, _, _ := strings.Cut(name, "/") // which no service has in its name
		report.add(service, c)
	}
	total := make(map[int32]int64)
	for _, part := range w.parts {
		total[part.history.partition] += int64(len(part.people))
	}
	w.bench.progress().Start(total)
	defer w.bench.progress().Done()
	for _, part := range w.parts {
		if err := w.carryOut(ctx, part, report); err != nil {
			return report, &exit.PartlyError{Err: fmt.Errorf("partition %d of %s: %w", part.history.partition, part.service, err), Resume: "the same command"}
		}
	}
	if err := w.verify(ctx, report); err != nil {
		return report, &exit.PartlyError{Err: fmt.Errorf("verify: %w", err), Resume: "the same command"}
	}
	w.done.remove()
	if n := report.Total().MovedOn; n > 0 {
		return report, &exit.PartlyError{Err: fmt.Errorf("events came of %d subjects since the plan was made", n), Resume: "make a new plan"}
	}
	if len(report.Wrong) > 0 {
		return report, &exit.PartlyError{Err: errors.New("not everything is right yet"), Resume: "make a new plan"}
	}
	return report, nil
}

// carryOut does one partition of one service.
func (w *Work) carryOut(ctx context.Context, part *workPart, report *Report) error {
	pace := w.bench.pace()
	for lot := range slices.Chunk(part.people, cache.MendLot) {
		if err := w.carryLot(ctx, part, lot, pace); err != nil {
			return err
		}
		w.bench.progress().Add(part.history.partition, int64(len(lot)))
	}
	if err := w.layHolds(ctx, part); err != nil {
		return err
	}
	ok, err := w.bench.Caches[part.service].Redigest(ctx, part.history.partition) // also for what an earlier try mended
	if err != nil {
		return err
	}
	if !ok {
		report.Busy = append(report.Busy, part.name())
	}
	report.add(part.service, part.counts)
	w.done.Done[part.name()] = part.counts
	return w.done.save()
}

const (
	// lotTries is how often a lot is tried while the owner is faster than we are.
	lotTries = 50
	// lotPause lets the owner read its partition anew, which takes milliseconds.
	lotPause = 20 * time.Millisecond
	// staleAge is when a partition is so far behind that it needs its Redis more
	// than we do: below the three seconds after which guards deny.
	staleAge = time.Second
	// yieldTries bounds how long we give way. Who is stale for longer has stopped.
	yieldTries = 100
)

// carryLot mends the subjects of a lot that are still as planned.
func (w *Work) carryLot(ctx context.Context, part *workPart, lot []events.Subject, pace *rate.Limiter) error {
	if err := wait(ctx, pace, len(lot)); err != nil {
		return err
	}
	if err := w.giveWay(ctx, part); err != nil {
		return err
	}
	for range lotTries {
		left, err := w.tryLot(ctx, part, lot)
		if err != nil || len(left) == 0 {
			return err
		}
		lot = left
		if err := sleep(ctx, lotPause); err != nil {
			return err
		}
	}
	return fmt.Errorf("the cache moved on at each of %d tries: replay when there is less traffic, or with a lower rate of it", lotTries)
}

// giveWay waits while the partition is behind, or has no owner since our last lot.
func (w *Work) giveWay(ctx context.Context, part *workPart) error {
	for range yieldTries {
		sight, err := w.bench.look(ctx, part.history, part.service, nil)
		if err != nil || sight.Owned && sight.Age < staleAge {
			return err
		}
		if part.counts.Mended == 0 && !sight.Owned {
			return nil // nobody owned it before we came
		}
		if err := sleep(ctx, lotPause); err != nil {
			return err
		}
	}
	return nil
}

// tryLot looks, judges and mends once, and returns what is left to do: everything
// when the cache stood elsewhere when the mends arrived, and otherwise what was
// written meanwhile.
func (w *Work) tryLot(ctx context.Context, part *workPart, lot []events.Subject) (left []events.Subject, err error) {
	h := part.history
	found, err := w.bench.compareAll(ctx, h, part.service, lot)
	if err != nil {
		return nil, err
	}
	if err := h.drain(); err != nil { // as far as the log goes: what was judged then holds a little longer
		return nil, err
	}
	var mends []cache.Mend
	lo, hi := int64(0), h.at
	for i := range found {
		f := &found[i]
		switch w.judge(part, f) {
		case settled:
			part.counts.Settled++
		case due:
			right := h.judge(f.who, f.next)
			lo, hi = max(lo, right.lo), min(hi, right.hi)
			mends = append(mends, cache.Mend{Subject: f.who, Stored: f.stored, Right: right.state, Act: w.plan.Act})
		default:
			part.counts.MovedOn++
		}
	}
	if len(mends) == 0 {
		return nil, nil
	}
	verdicts, err := w.bench.Caches[part.service].Mend(ctx, h.partition, lo, hi, mends)
	if errors.Is(err, cache.ErrMoved) {
		verdicts, err = make([]cache.Verdict, len(mends)), nil
	}
	if err != nil {
		return nil, err
	}
	for i, v := range verdicts {
		switch v {
		case cache.Mended:
			part.counts.Mended++
		case cache.Settled:
			part.counts.Settled++
		default:
			left = append(left, mends[i].Subject)
		}
	}
	return left, nil
}

// verify looks once more at every subject of the parts that were carried out.
func (w *Work) verify(ctx context.Context, report *Report) error {
	for _, part := range w.parts {
		found, err := w.bench.survey(ctx, part.history, part.service, part.people)
		if err != nil {
			return err
		}
		for i := range found {
			switch {
			case found[i].differs:
				report.Wrong[found[i].kind]++
			case !found[i].unknown:
				report.Right++
			}
		}
		for _, l := range part.holds {
			have, err := w.bench.Caches[part.service].Holding(ctx, l.who)
			switch {
			case err != nil:
				return err
			case known(&have, l.at):
				report.Right++
			default:
				report.Wrong[Unheld]++
			}
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
