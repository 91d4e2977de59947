package generation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/internal/cache"
)

// adopt makes the next layout of every service the recorded one, each at one moment.
// Guards that ask for the layout read the new cache from here on. Until it is fenced the
// service goes on to hold whoever is restricted behind a barrier, so what it holds is laid
// in the new cache between the two: who was denied is not allowed for a moment.
func (l *layout) adopt(ctx context.Context) (string, error) {
	var names []string
	for _, s := range l.waiting() {
		if err := s.builder.fault(); err != nil {
			return "", fmt.Errorf("%s: %w", s.name(), err)
		}
		if err := s.layHolds(ctx); err != nil { // most of them, while it takes what it takes
			return "", err
		}
		if err := s.swap(ctx); err != nil {
			return "", err
		}
		names = append(names, s.name())
	}
	if len(names) == 0 {
		return "", nil
	}
	return fmt.Sprintf("generation %d is recorded for %s", l.New.Generation, strings.Join(names, ", ")), nil
}

// swapWithin bounds a swap, which nobody interrupts: guards are answered by what is
// fenced for no longer than they take it for fresh (guard.DefaultMaxStaleness).
const swapWithin = 10 * time.Second

// swap fences the old cache, lays what was held since, and adopts the new one.
func (s *service) swap(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), swapWithin)
	defer cancel()
	if err := s.Fence(ctx); err != nil {
		return err
	}
	if err := s.layHolds(ctx); err != nil {
		return err
	}
	return s.Adopt(ctx)
}

// retire ends the old caches: no guard is answered by them, and no service proves them
// fresh, from here on.
func (l *layout) retire(ctx context.Context) (string, error) {
	var names []string
	for _, s := range l.services {
		done, err := s.Retired(ctx)
		if err != nil {
			return "", err
		}
		if done {
			continue
		}
		if err := s.Retire(ctx); err != nil {
			return "", err
		}
		names = append(names, s.name())
	}
	if len(names) == 0 {
		return "", nil
	}
	return fmt.Sprintf("generation %d is retired for %s", l.Old.Generation, strings.Join(names, ", ")), nil
}

// carryKept moves what services and their teams keep beside the states: now that the
// old slots are behind for good, no desk writes to them, and before a decision counts
// that could take anything out of the new ones.
func (l *layout) carryKept(ctx context.Context) (string, error) {
	moved := 0
	for _, s := range l.services {
		carry := l.Kept[s.name()]
		if carry == nil {
			continue
		}
		n, err := carry(ctx, slots(s.Live()), slots(s.Layout()))
		if err != nil {
			return "", err
		}
		moved += n
	}
	if moved == 0 {
		return "", nil
	}
	return fmt.Sprintf("moved %d keys that are kept beside the states", moved), nil
}

func slots(l cache.Layout) []consumers.Slot {
	all := make([]consumers.Slot, l.Partitions)
	for p := range all {
		all[p] = consumers.Slot{Partition: int32(p), Prefix: l.Prefix(int32(p))}
	}
	return all
}

// letIn writes the barriers from which on decisions count in the new log: now that
// nobody is answered by what cannot know of them.
func (l *layout) letIn(ctx context.Context) (string, error) {
	open, err := l.reached(ctx, l.New, l.services, (*service).Next, events.StageOpening, events.StageOpen)
	if err != nil {
		return "", err
	}
	var barriers []cloudevent.Barrier
	for p := range l.New.Partitions {
		if !open[p] {
			barriers = append(barriers, cloudevent.Barrier{Generation: l.New.Generation, Partition: p, Stage: events.StageOpen.String(), Before: &l.Old})
		}
	}
	if len(barriers) == 0 {
		return "", nil
	}
	acks, err := l.write(ctx, l.New.Topic, barriers)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s is open: decisions count in %d partitions", l.New.Topic, len(acks)), nil
}

// handOver keeps the new caches fresh until the services have taken over, for as long
// as is wanted. Before that it sees to it that they hold what the new log begins with.
func (l *layout) handOver(ctx context.Context) (string, error) {
	wanted, cancel := context.WithTimeout(ctx, l.Handover)
	defer cancel()
	for _, s := range l.services {
		if s.builder == nil {
			continue // it had taken over before
		}
		if err := l.follow(ctx, s); err != nil && !errors.Is(err, errTaken) {
			return "", err
		}
	}
	for _, s := range l.services {
		if s.builder == nil {
			continue
		}
		select {
		case <-s.builder.ended:
		case <-wanted.Done():
		}
		switch err := s.builder.fault(); {
		case ctx.Err() != nil:
			return "", context.Cause(ctx)
		case err == nil:
			l.report.Waiting = append(l.report.Waiting, s.name())
		case !errors.Is(err, errTaken):
			return "", fmt.Errorf("%s: %w", s.name(), err)
		}
	}
	switch {
	case len(l.report.Waiting) == 0:
		return "every service has taken over", nil
	case l.Handover == 0:
		return "", nil
	}
	return "", fmt.Errorf("%s did not take over within %v: their guards deny as stale until they do", strings.Join(l.report.Waiting, ", "), l.Handover)
}
