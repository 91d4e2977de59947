package canary

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/guard"
)

// Flight is how one canary fared at one service.
type Flight struct {
	Service   string        `json:"service"`
	Partition int32         `json:"partition"`
	Opened    time.Duration `json:"opened"`  // from the acknowledged grant until it was allowed
	Stopped   time.Duration `json:"stopped"` // from the acknowledged withdrawal until it was denied
	Fault     Fault         `json:"fault,omitempty"`
	Answer    string        `json:"answer,omitempty"` // of the guard, when there is a fault
}

// Fault is what went wrong with a flight. The zero Fault is none.
type Fault string

// The faults, the worst first.
const (
	Late     Fault = "late"     // still allowed when the bound had passed
	Reopened Fault = "reopened" // denied, and then allowed again
	Blind    Fault = "blind"    // denied, but for another reason than the withdrawal: it was not seen
	NotOpen  Fault = "not-open" // never allowed after the grant: whoever consents is denied
)

// The pauses between two questions to a guard: as fine as what is measured at
// first, and then coarser, so that a service that is down is not also asked
// thousands of times a second.
const (
	firstPause = time.Millisecond
	lastPause  = 50 * time.Millisecond
	coarser    = 1.2
)

// Fly sends every canary once and returns how each fared at each service. An error
// means that something could not be published.
func (f *Flock) Fly(ctx context.Context) ([]Flight, error) {
	var mu sync.Mutex
	var all []Flight
	group, ctx := errgroup.WithContext(ctx)
	for i := range f.canaries {
		group.Go(func() error {
			flights, err := f.fly(ctx, &f.canaries[i])
			mu.Lock()
			defer mu.Unlock()
			all = append(all, flights...)
			return err
		})
	}
	err := group.Wait()
	slices.SortFunc(all, func(a, b Flight) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Partition, b.Partition))
	})
	return all, err
}

// moment is more than the clocks' millisecond: what counts from one and the same
// has no order, and a grant in it opens nothing.
const moment = 3 * time.Millisecond

// fly lets one canary grant, waits until it is allowed everywhere, lets it
// withdraw, and watches it being denied. At first it withdraws: that closes what an
// earlier run may have left, and shows what time it is at the broker, which every
// later grant has to be behind.
func (f *Flock) fly(ctx context.Context, b *bird) ([]Flight, error) {
	if b.decided == 0 {
		if _, err := f.publish(ctx, b, events.Withdrawn); err != nil {
			return nil, err
		}
	}
	time.Sleep(moment)
	if _, err := f.publish(ctx, b, events.Granted); err != nil {
		return nil, err
	}
	flights := f.everywhere(ctx, b, time.Now(), f.open)
	at, err := f.publish(ctx, b, events.Withdrawn)
	if err != nil {
		return nil, err
	}
	stops := f.everywhere(ctx, b, time.Now(), func(ctx context.Context, v *view, fl *Flight) { f.stop(ctx, v, fl, at) })
	for i := range flights {
		flights[i].Stopped = stops[i].Stopped
		if fault := cmp.Or(stops[i].Fault, flights[i].Fault); fault != flights[i].Fault {
			flights[i].Fault, flights[i].Answer = fault, stops[i].Answer
		}
	}
	for i := range flights { // once all had denied
		if d := f.ask(ctx, flights[i].Service, b); d.Allowed && flights[i].Fault != Late {
			flights[i].Fault, flights[i].Answer = Reopened, d.String()
		}
	}
	return flights, ctx.Err()
}

// view is a canary as one service's guard sees it, since something was acknowledged.
type view struct {
	bird    *bird
	service string
	since   time.Time
	ask     func(ctx context.Context) guard.Decision
}

// everywhere watches a canary at every service at once, in the services' order.
func (f *Flock) everywhere(ctx context.Context, b *bird, since time.Time, watch func(context.Context, *view, *Flight)) []Flight {
	flights := make([]Flight, 0, len(f.cfg.Guards))
	for service := range f.cfg.Guards {
		flights = append(flights, Flight{Service: service, Partition: b.partition})
	}
	slices.SortFunc(flights, func(a, b Flight) int { return cmp.Compare(a.Service, b.Service) })
	var all sync.WaitGroup
	for i := range flights {
		fl := &flights[i]
		all.Go(func() {
			v := &view{b, fl.Service, since, func(ctx context.Context) guard.Decision { return f.ask(ctx, fl.Service, b) }}
			watch(ctx, v, fl)
		})
	}
	all.Wait()
	return flights
}

func (f *Flock) ask(ctx context.Context, service string, b *bird) guard.Decision {
	return f.cfg.Guards[service].Check(ctx, b.subject, f.cfg.Purpose)
}

// open waits until a guard allows.
func (f *Flock) open(ctx context.Context, v *view, fl *Flight) {
	last := f.until(ctx, v, func(d guard.Decision) bool { return d.Allowed })
	if fl.Opened = time.Since(v.since); !last.Allowed {
		fl.Fault, fl.Answer = NotOpen, last.String()
	}
}

// stop waits until a guard denies, and for the right reason. What counts is the
// first denial that no permission followed, whatever its reason: a guard that could
// not ask in time denies too, and may allow once more before the withdrawal arrives.
func (f *Flock) stop(ctx context.Context, v *view, fl *Flight, at events.Position) {
	denied := false
	last := f.until(ctx, v, func(d guard.Decision) bool {
		if !d.Allowed && !denied {
			fl.Stopped = time.Since(v.since)
		}
		denied = !d.Allowed
		return d.Reason == events.ByWithdrawal && d.By == at
	})
	if !denied {
		fl.Stopped = time.Since(v.since)
	}
	switch {
	case !denied || fl.Stopped > f.cfg.Within:
		fl.Fault, fl.Answer = Late, last.String()
	case last.By != at:
		fl.Fault, fl.Answer = Blind, last.String()
	}
}

// until asks until the answer will do or the bound has passed, and returns the
// last answer.
func (f *Flock) until(ctx context.Context, v *view, enough func(guard.Decision) bool) guard.Decision {
	ctx, cancel := context.WithDeadline(ctx, v.since.Add(f.cfg.Within))
	defer cancel()
	for pause := firstPause; ; pause = min(time.Duration(float64(pause)*coarser), lastPause) {
		// Without the deadline: a check that is cut off would deny, and prove nothing.
		d := v.ask(context.WithoutCancel(ctx))
		if enough(d) {
			return d
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return d
		}
	}
}

// Clear erases the canaries, and returns when every guard denies them for it, or
// says which does not within the bound.
func (f *Flock) Clear(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range f.canaries {
		b := &f.canaries[i]
		group.Go(func() error {
			if _, err := f.publish(ctx, b, events.SubjectErased); err != nil {
				return err
			}
			for _, fl := range f.everywhere(ctx, b, time.Now(), f.gone) {
				if fl.Fault != "" {
					return fmt.Errorf("canary of partition %d: %s has not erased it: %s", b.partition, fl.Service, fl.Answer)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func (f *Flock) gone(ctx context.Context, v *view, fl *Flight) {
	last := f.until(ctx, v, func(d guard.Decision) bool { return d.Reason == events.ByErasure })
	if last.Reason != events.ByErasure {
		fl.Fault, fl.Answer = Blind, last.String()
	}
}
