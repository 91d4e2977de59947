package simulation

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/kelisim/kelisim/events"
)

// Row is what a number of histories under the same faults came to.
type Row struct {
	Faults    Faults
	Histories int
	Reopened  []int // by rule: ended allowed although the last decision was a withdrawal
	Denied    int   // by our rule: ended denied although the last decision was a grant
}

// batch is how many histories a worker takes at a time: long enough to be worth
// a goroutine, short enough to notice a cancelled context.
const batch = 10_000

// Run draws so many histories under the faults and judges each by every rule.
// The same seed gives the same row, however many workers share the work. It
// ends early only with the error of the context.
func Run(ctx context.Context, rules *events.Rules, f Faults, histories int, seed uint64, workers int) (Row, error) {
	parts := make([]Row, (histories+batch-1)/batch)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i := range parts {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			parts[i] = count(rules, f, seed, i*batch, min(histories, (i+1)*batch))
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return Row{}, fmt.Errorf("simulate %q: %w", f.Name, err)
	}
	total := Row{Faults: f, Reopened: make([]int, len(Columns()))}
	for _, part := range parts {
		total.add(part)
	}
	return total, nil
}

// count judges the histories with the numbers in [from, to).
func count(rules *events.Rules, f Faults, seed uint64, from, to int) Row {
	judges := []rule{logOrder, eventTime, withoutAppendTime(rules.Uncertainty()), twoKeys(rules)}
	row := Row{Histories: to - from, Reopened: make([]int, len(judges))}
	var h history
	d := newDice()
	for i := from; i < to; i++ {
		d.reset(seed, uint64(i))
		h.draw(d, f)
		for j, allows := range judges {
			switch allowed := allows(&h); {
			case allowed && !h.permitted:
				row.Reopened[j]++
			case !allowed && h.permitted && j == len(judges)-1:
				row.Denied++
			}
		}
	}
	return row
}

func (r *Row) add(part Row) {
	r.Histories += part.Histories
	r.Denied += part.Denied
	for i, n := range part.Reopened {
		r.Reopened[i] += n
	}
}
