package generation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// freshEnough is how old the proof of a cache may be that somebody keeps fresh: what
// guards accept (guard.DefaultMaxStaleness).
const freshEnough = 3 * time.Second

// build folds the new log into the cache of every service that does not do so itself,
// until it holds all that was carried and is fresh. What it then holds is compared with
// what was carried, by digest.
func (l *layout) build(ctx context.Context) (string, error) {
	var built []*service
	for _, s := range l.services {
		if alive, err := s.runs(ctx); err != nil {
			return "", err
		} else if alive {
			continue // it has taken over: nobody must fold beside it
		}
		b, err := l.newBuilder(ctx, s)
		if err != nil {
			return "", err
		}
		s.builder = b
		built = append(built, s)
	}
	if len(built) == 0 {
		return "", nil
	}
	group, inner := errgroup.WithContext(ctx)
	for _, s := range built {
		group.Go(func() error { return l.follow(inner, s) })
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	for _, s := range built {
		if err := s.asExpected(ctx); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("built the caches of %d services, generation %d", len(built), l.New.Generation), nil
}

// takenOver bounds how long a service that has just claimed the next cache may take to
// prove all of it fresh, before it is folded beside it: that would fence the service.
const takenOver = 2 * freshEnough

// runs says whether the service itself keeps the next cache fresh.
func (s *service) runs(ctx context.Context) (alive bool, err error) {
	if !s.adopted {
		return false, nil
	}
	err = poll(ctx, takenOver, func() (string, bool, error) {
		stands, err := s.Stands(ctx)
		alive = err == nil && !slices.ContainsFunc(stands, func(stand cache.Stand) bool {
			return !stand.Known || !stand.Proved || stand.Age > freshEnough
		})
		return "", alive, err
	})
	if errors.Is(err, errStill) {
		err = nil // nobody does
	}
	return alive, err
}

// follow waits until the next cache has folded all that the new log holds, and is fresh.
func (l *layout) follow(ctx context.Context, s *service) error {
	return poll(ctx, l.Patience, func() (still string, done bool, err error) {
		if err := s.builder.fault(); err != nil {
			return "", false, fmt.Errorf("%s: %w", s.name(), err)
		}
		ends, err := l.Admin.Offsets(ctx, l.New.Topic)
		if err != nil {
			return "", false, err
		}
		spots, err := s.Next().Spots(ctx, numbers(l.New.Partitions)...)
		if err != nil {
			return "", false, err
		}
		for p, spot := range spots {
			if !spot.Known || spot.Next < ends[int32(p)].End || spot.Fresh == 0 {
				return fmt.Sprintf("the new cache of %s has %d of %d records of partition %d", s.name(), spot.Next, ends[int32(p)].End, p), false, nil
			}
		}
		return "", true, nil
	})
}

// asExpected holds the next cache against what was carried into its log.
func (s *service) asExpected(ctx context.Context) error {
	if s.expect == nil {
		return nil // an earlier run carried it, and compared
	}
	spots, err := s.Next().Spots(ctx, numbers(s.Layout().Partitions)...)
	if err != nil {
		return err
	}
	for p, spot := range spots {
		if spot.Stage != events.StageOpening {
			return exit.Refuse("partition %d of %s is %s, and nothing was to count there yet", p, s.Layout().Topic, spot.Stage)
		}
		if want := s.expect[int32(p)]; spot.Digest != want {
			return fmt.Errorf("the new cache of %s, partition %d: its states sum up to %012x, and %012x were carried", s.name(), p, uint64(spot.Digest), uint64(want))
		}
	}
	return nil
}

// hold is one event that holds a subject, or that was released.
type hold struct {
	who  events.Subject
	what cache.Held
}

// layHolds lays what holds subjects in the old cache of a service in its new one, with
// what was released, as far as it is not there yet: an event is known by where it first
// stood, in whatever generation. What was released since stays so.
func (s *service) layHolds(ctx context.Context) error {
	there, err := holdsOf(ctx, s.Next(), s.Layout().Partitions)
	if err != nil {
		return err
	}
	wanted, err := holdsOf(ctx, s.Old(), s.Live().Partitions)
	if err != nil {
		return err
	}
	for h := range wanted {
		if _, known := there[h]; known {
			continue
		}
		lay := s.Hold
		if h.what.Released {
			lay = s.Release
		}
		if err := lay(ctx, h.who, h.what.At); err != nil {
			return err
		}
	}
	return nil
}

func holdsOf(ctx context.Context, in *cache.Inspector, partitions int32) (map[hold]struct{}, error) {
	found := make(map[hold]struct{})
	for p := range partitions {
		err := in.AllHolds(ctx, p, func(subject events.Subject, all []cache.Held) error {
			for _, h := range all {
				found[hold{subject, h}] = struct{}{}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}
