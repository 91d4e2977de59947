package consumers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

const (
	// sweepBuckets are looked through in one step, some 250 subjects: one round trip,
	// a millisecond of work.
	sweepBuckets = 16
	// sweepRest is how many times as long as a step took the sweep then rests, so that
	// it has a fifth of the actor's and of Redis' time at most. Guards go by the
	// new policy already; 10,000 subjects a second are swept all the same.
	sweepRest = 4
)

// sweep brings everybody in a partition in line with another edition of the
// policy. How far it is stands in the cache, so that the next owner goes on.
type sweep struct {
	mark   string
	before *events.Rules // that everybody was acted on by; nil: nobody knows
	bucket int32         // next
	owed   int
	began  time.Time
}

// turn acts by another edition in one partition from now on, and begins to sweep
// it. The cache knows first: whoever is acted on before a crash is of the new
// edition, and only a sweep of all makes the partition even again.
func (a *actor) turn(ctx context.Context, p *partition, d *duty) error {
	p.acting, p.sweep, p.under = nil, nil, d.epoch
	return a.owning(ctx, p, "sweep", func(epoch int64) error {
		note, err := a.cfg.Store.Swept(ctx, p.id)
		if err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
		s := &sweep{mark: d.edition.Mark(), began: time.Now()}
		next := cache.Sweep{Mark: s.mark}
		switch {
		case note == next:
			p.acting = d.edition
			p.even.Store(&even{epoch, d.edition})
			return nil
		case d.vacant:
			s = nil
		case note.Open && note.Mark == s.mark:
			s.bucket = note.Bucket
		case !note.Open && d.edition.Book.Joined(note.Mark, a.cfg.Service.Name) == 0: // else nobody was acted on for what joined
			s.before, _ = d.edition.Book.Earlier(note.Mark)
		}
		if s != nil {
			next.Open, next.Bucket = true, s.bucket
			a.log.Info("sweep begins", "partition", p.id, "to", s.mark, "from", note.String(), "all", s.before == nil)
		}
		if err := a.cfg.Store.Owe(ctx, p.id, epoch, nil, next); err != nil {
			return err
		}
		p.acting, p.sweep = d.edition, s
		if s == nil {
			p.even.Store(&even{epoch, d.edition})
		}
		return nil
	})
}

// sweepOn does one step of one sweep, unless the last was a moment ago, and
// returns how long to wait before the next.
func (a *actor) sweepOn(ctx context.Context) (time.Duration, error) {
	p := a.toSweep()
	if p == nil {
		return actWithin, nil
	}
	began := time.Now()
	if wait := a.rested.Sub(began); wait > 0 {
		return wait, nil
	}
	err := a.step(ctx, p)
	if errors.Is(err, errElsewhere) {
		p.sweep, err = nil, nil // the reader finds out, and announces the edition anew
	}
	pause := sweepRest * time.Since(began)
	a.rested = time.Now().Add(pause)
	return pause, err
}

// toSweep returns the partitions with an open sweep in turn, or nil.
func (a *actor) toSweep() *partition {
	for range a.order {
		p := a.parts[a.order[0]]
		a.order = append(a.order[1:], p.id)
		if p.sweep != nil {
			return p
		}
	}
	return nil
}

// step puts everybody in some buckets whom the change concerns into the outbox,
// and empties it.
func (a *actor) step(ctx context.Context, p *partition) error {
	s, serves := p.sweep, a.dueBy(p.acting).serves
	more, found := false, 0
	err := a.owning(ctx, p, "sweep", func(epoch int64) error {
		states, behind, err := a.cfg.Store.States(ctx, p.id, s.bucket, sweepBuckets)
		if err != nil {
			return err
		}
		more = behind
		var owed []cache.Kept
		for _, st := range states {
			if s.concerns(serves, p.acting.Rules, st.State) {
				owed = append(owed, st)
			}
		}
		note := cache.Sweep{Mark: s.mark, Open: more}
		if more {
			note.Bucket = s.bucket + sweepBuckets
		}
		found = len(owed)
		return a.cfg.Store.Owe(ctx, p.id, epoch, owed, note)
	})
	if err != nil {
		return err
	}
	s.bucket, s.owed = s.bucket+sweepBuckets, s.owed+found
	a.metrics.owed(found)
	if !more {
		p.sweep = nil
		p.even.Store(&even{p.under, p.acting})
		a.log.Info("sweep is over", "partition", p.id, "to", s.mark, "subjects", s.owed, "took", time.Since(s.began).Round(time.Millisecond).String())
	}
	return a.empty(ctx, p)
}

// concerns says whether a subject's standing for the service's purposes may be
// another than it was acted on by.
func (s *sweep) concerns(serves events.PurposeSet, now *events.Rules, state events.State) bool {
	if s.before == nil {
		return true
	}
	a, b := s.before.Standing(state), now.Standing(state)
	return ((a.Allowed^b.Allowed)|(a.Stopped^b.Stopped))&serves != 0
}

// owning does what only the owner of a partition may, until that is done. All of
// it is under one claim: where the reader had to claim the partition anew, what is
// there now may be of another edition, and is announced with it.
func (a *actor) owning(ctx context.Context, p *partition, what string, f func(epoch int64) error) error {
	return a.insist(ctx, what, func() error {
		epoch := p.under
		if p.epoch.Load() != epoch {
			return errElsewhere
		}
		err := f(epoch)
		switch {
		case errors.Is(err, cache.ErrFenced) && p.reclaimed(epoch),
			errors.Is(err, cache.ErrMoved), errors.Is(err, cache.ErrDamaged):
			return errElsewhere
		}
		return err
	})
}
