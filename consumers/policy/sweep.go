package policy

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/events"
	versions "github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/cache"
)

// Sweeper goes through the calendar now and then: it publishes the erasures that
// are due and raises an alarm for each review whose date has passed. Several may
// run at once: what they publish twice are copies.
type Sweeper struct {
	Shared
	client redis.UniversalClient
	every  time.Duration
}

// NewSweeper returns a sweeper that does not run yet.
func NewSweeper(client redis.UniversalClient, every time.Duration, shared Shared) *Sweeper {
	shared.complete()
	return &Sweeper{Shared: shared, client: client, every: every}
}

// Run sweeps until ctx ends, and returns nil then. The first sweep comes after a
// pause, for whoever starts the role to see what it would do. What fails is tried
// again at the next.
func (s *Sweeper) Run(ctx context.Context) error {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.Metrics.failures.WithLabelValues("sweep").Inc()
			s.Logger.Warn("sweep not finished; the next one goes on", "in", s.every.String(), "err", err)
		}
	}
}

// Swept counts what one sweep found.
type Swept struct {
	Erased  int // erasures published
	Frozen  int // due, and under a block
	Doubted int // due, and the state is not settled: an event is parked, or the cache is behind
	Running int // not due yet
	Alarmed int // reviews whose date has passed, for the first time
	Overdue int // all reviews whose date has passed
}

// page is how many entries of the calendar are looked at together.
const page = 200

// Sweep goes through the calendar once. Partitions that fail are reported together.
func (s *Sweeper) Sweep(ctx context.Context) (Swept, error) {
	var sum Swept
	all, err := Slots(ctx, s.client)
	if err != nil {
		return sum, err
	}
	calendar, err := Open(s.client, all)
	if err != nil {
		return sum, err
	}
	now, suppressed := s.Now(), int64(0)
	var faults []error
	for partition := range calendar.Partitions() {
		faults = append(faults, s.erase(ctx, calendar, partition, now, &sum), s.alarm(ctx, calendar, partition, now, &sum))
		count, err := calendar.Count(ctx, partition)
		faults = append(faults, err)
		sum.Overdue, suppressed = sum.Overdue+int(count.Overdue), suppressed+count.Suppressed
	}
	for why, n := range map[string]int{"running": sum.Running, "frozen": sum.Frozen, "doubted": sum.Doubted} {
		s.Metrics.waiting.WithLabelValues(why).Set(float64(n))
	}
	s.Metrics.reviews.Set(float64(sum.Overdue))
	s.Metrics.suppressed.Set(float64(suppressed))
	return sum, errors.Join(faults...)
}

// erase publishes the erasures of one partition that are due. Without a version of
// the policy in force nothing is: nobody knows for how long to keep.
func (s *Sweeper) erase(ctx context.Context, c *Calendar, partition int32, now time.Time, sum *Swept) error {
	count, err := c.Count(ctx, partition)
	if err != nil {
		return err
	}
	looked := 0
	if asked, known := s.Publications.Book().Current(now); known {
		looked, err = s.eraseDue(ctx, c, partition, asked, now, sum)
	}
	sum.Running += int(count.Retentions) - looked
	return err
}

// eraseDue goes through who may be due, and returns how many that were.
func (s *Sweeper) eraseDue(ctx context.Context, c *Calendar, partition int32, asked *versions.Catalogue, now time.Time, sum *Swept) (looked int, err error) {
	for more := true; more; {
		entries, err := c.Retentions(ctx, partition, looked, page)
		if err != nil {
			return looked, err
		}
		more = len(entries) == page
		var due []events.Event
		for _, entry := range entries {
			if KeepUntil(asked, entry.At).After(now) { // and so is everybody's behind
				more = false
				break
			}
			looked++
			e, err := s.dueNow(ctx, entry.Subject, now, sum)
			if err != nil {
				return looked, err
			}
			if e != nil {
				due = append(due, *e)
			}
		}
		if err := s.publishErasures(ctx, due, sum); err != nil {
			return looked, err
		}
	}
	return looked, nil
}

func (s *Sweeper) publishErasures(ctx context.Context, due []events.Event, sum *Swept) error {
	if err := s.publish(ctx, due); err != nil {
		return err
	}
	sum.Erased += len(due)
	s.Metrics.erasures.Add(float64(len(due)))
	for i := range due {
		s.Logger.Info("retention is over", "subject", due[i].Subject, "event", due[i].ID)
	}
	return nil
}

// dueNow returns the erasure of a subject, if its state says so too, and the policy
// that is in force by every clock.
func (s *Sweeper) dueNow(ctx context.Context, subject events.Subject, now time.Time, sum *Swept) (*events.Event, error) {
	view, err := s.States.Lookup(ctx, subject)
	if err != nil {
		return nil, err
	}
	now = s.earliest(view, now)
	asked, known := s.Publications.Book().Current(now)
	rules := s.Rules()
	agreement := rules.Agreement(view.State)
	switch {
	case !settled(view) || view.Held:
		sum.Doubted++
	case !known:
		sum.Running++
	case agreement.Phase != events.Over || KeepUntil(asked, agreement.Ended).After(now):
		sum.Running++ // begun anew, or ended again, and the action follows
	case rules.Frozen(view.State):
		sum.Frozen++
	default:
		e := erasureOf(subject, agreement, KeepUntil(asked, agreement.Ended))
		return &e, nil
	}
	return nil, nil
}

// earliest returns the earliest of what this machine, Redis and the log take for now:
// what is erased stays erased, so no single clock that runs ahead may do it.
func (s *Sweeper) earliest(v cache.View, now time.Time) time.Time {
	if at := v.Now.Time(); at.Before(now) {
		now = at
	}
	if s.LogNow != nil {
		if at := s.LogNow(); at.Before(now) {
			now = at
		}
	}
	return now
}

// alarm raises the alarms of one partition, once for each review.
func (s *Sweeper) alarm(ctx context.Context, c *Calendar, partition int32, now time.Time, sum *Swept) error {
	for {
		passed, err := c.alarm(ctx, partition, events.MillisOf(now), page)
		for _, entry := range passed {
			s.Logger.Warn("a refused withdrawal is to be reviewed", "subject", entry.Subject, "since", entry.At.Time())
		}
		sum.Alarmed += len(passed)
		if err != nil || len(passed) < page {
			return err
		}
	}
}
