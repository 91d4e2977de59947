package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Part is one thing that runs for as long as the program does.
type Part struct {
	Name string
	// Run returns soon after its context ends. When it returns before that, with
	// an error or without, the whole program ends.
	Run func(context.Context) error
}

// Program is what Run runs.
type Program struct {
	// Budget is how long the parts may take to end, once they should.
	Budget time.Duration
	Logger *slog.Logger
	// Admin may be nil. It is the last to go, so that a probe sees the end too.
	Admin *AdminPort
	Parts []Part
	// Finally, if there is one, closes what the parts used, when they have ended or
	// the budget has: its context gets what is left of that, and lastChance at
	// least.
	Finally func(context.Context) error
}

// lastChance is what closing gets even when the parts used the budget up: time
// to say goodbye to servers on the same network.
const lastChance = time.Second

// ErrBudget is wrapped when parts were still running at the end of the budget.
// They are left behind: the process has to end.
var ErrBudget = errors.New("shutdown budget used up")

// errEnded makes the group end when a part returns without an error.
var errEnded = errors.New("ended")

// Run runs all parts until ctx ends or one of them returns, asks the others to
// end, and waits for them, at most for the budget. It returns the errors of the
// parts; being asked to end is none.
func Run(ctx context.Context, p Program) error {
	group, inner := errgroup.WithContext(ctx)
	left := newRoll(p.Parts)
	var faults faultList
	endAdmin := p.startAdmin(ctx, group, inner)
	for _, part := range p.Parts {
		group.Go(func() error {
			defer left.remove(part.Name)
			if err := part.Run(inner); err != nil && !(inner.Err() != nil && errors.Is(err, context.Canceled)) {
				faults.add(fmt.Errorf("%s: %w", part.Name, err))
			}
			return errEnded
		})
	}
	<-inner.Done()
	if p.Admin != nil {
		p.Admin.Stopping()
	}
	p.Logger.Info("stopping", "budget", p.Budget, "waiting_for", left.names())
	deadline := time.Now().Add(p.Budget)
	ended := make(chan struct{})
	go func() {
		_ = group.Wait() // errEnded, or what faults holds
		close(ended)
	}()
	timer := time.NewTimer(p.Budget)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		faults.add(fmt.Errorf("%w after %s, still running: %s", ErrBudget, p.Budget, strings.Join(left.names(), ", ")))
	}
	faults.add(p.finish(ctx, deadline))
	faults.add(endAdmin())
	return faults.join()
}

// finish closes what the parts used.
func (p Program) finish(ctx context.Context, deadline time.Time) error {
	if p.Finally == nil {
		return nil
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(lastChance, time.Until(deadline)))
	defer cancel()
	return p.Finally(last)
}

// startAdmin serves the admin port, ends the group should it fail, and returns
// how to end it.
func (p Program) startAdmin(ctx context.Context, group *errgroup.Group, inner context.Context) (end func() error) {
	if p.Admin == nil {
		return func() error { return nil }
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	var result error
	go func() {
		defer close(ended)
		result = p.Admin.Run(own)
	}()
	group.Go(func() error {
		select {
		case <-ended:
			return errEnded
		case <-inner.Done():
			return nil
		}
	})
	return func() error {
		cancel()
		<-ended
		return result
	}
}

// faultList collects errors from several goroutines.
type faultList struct {
	mu  sync.Mutex
	all []error
}

func (f *faultList) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, err)
}

func (f *faultList) join() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.all...)
}

// roll knows who is still running.
type roll struct {
	mu      sync.Mutex
	present []string
}

func newRoll(parts []Part) *roll {
	r := &roll{}
	for _, p := range parts {
		r.present = append(r.present, p.Name)
	}
	return r
}

func (r *roll) remove(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.present, name); i >= 0 {
		r.present = slices.Delete(r.present, i, i+1)
	}
}

func (r *roll) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.present)
}
