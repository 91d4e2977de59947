package parked

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kelisim/kelisim/events"
)

// A service applies an event within milliseconds, and a person waits; looking into
// the whole parked topic is dearer, and done at every fourth look.
const (
	awaitPause  = 250 * time.Millisecond
	awaitParked = 4
)

// Await returns when every service has applied what was redriven, which shows by
// its holds, or parked it again, which is an error that names the first one. An
// event that holds nobody shows nothing and is not waited for.
func (d *Desk) Await(ctx context.Context, r *Redrive) error {
	open := make([]*Case, 0, len(r.Items))
	at := make(map[events.Position]string)
	for i := range r.Items {
		if it := &r.Items[i]; it.At != "" {
			open, at[it.c.First] = append(open, it.c), it.At
		}
	}
	for look := 1; ; look++ {
		if err := d.Holds(ctx, open); err != nil {
			return err
		}
		for _, c := range open {
			if err := d.settle(ctx, c); err != nil {
				return err
			}
		}
		open = slices.DeleteFunc(open, func(c *Case) bool { return len(c.Held) == 0 })
		if len(open) == 0 {
			return nil
		}
		if look%awaitParked == 0 {
			if err := d.parkedAgain(ctx, at); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d redriven events still hold their subjects, the first that of %v in %v: %w",
				len(open), open[0].First, open[0].Held, context.Cause(ctx))
		case <-time.After(awaitPause):
		}
	}
}

// parkedAgain looks whether a redriven event lies in the parked topic again.
func (d *Desk) parkedAgain(ctx context.Context, at map[events.Position]string) error {
	cases, _, err := d.Cases(ctx)
	if err != nil {
		return err
	}
	for _, c := range cases {
		for _, p := range c.Copies {
			if q, ours := at[c.First]; ours && q == p.Position {
				return fmt.Errorf("the event of %v was parked again by %s: %s", c.First, p.Service, p.Reason)
			}
		}
	}
	return nil
}
