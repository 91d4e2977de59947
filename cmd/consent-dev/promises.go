package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/guard"
)

// stopsInTime is P1, the bounded stop.
func (t *teller) stopsInTime(s *story) promise {
	denied, _ := s.slowest()
	p := promise{text: fmt.Sprintf("every guard denies within %s of the acknowledgement (P1)", stopBound)}
	if denied > stopBound {
		p.broken = fmt.Errorf("the last one took %s", denied)
	}
	return p
}

// explains is P4: every answer names the event that decided it.
func (t *teller) explains(s *story) promise {
	p := promise{text: "every answer names the withdrawal that decided it (P4)"}
	for _, c := range s.chapters {
		if c.after.Reason != events.ByWithdrawal || c.after.By != s.at {
			p.broken = errors.Join(p.broken, fmt.Errorf("%s answered %v, the withdrawal is %v", c.desk.service, c.after, s.at))
		}
	}
	return p
}

// lateBy is how much older than the withdrawal the late grant's decision is.
const lateBy = time.Minute

// staysClosed is P2, no resurrection: the grant published once more, and a grant
// that was decided before the withdrawal and arrives after it, open nothing.
func (t *teller) staysClosed(ctx context.Context, subject events.Subject, grant *events.Event, s *story) promise {
	p := promise{text: "a copy of the grant and a late one re-open nothing (P2)"}
	late := *grant
	late.ID += "-late"
	late.Decided -= events.Millis(lateBy.Milliseconds())
	last := s.at
	for _, e := range []*events.Event{grant, &late} {
		ack, err := t.publisher.publish(ctx, e)
		if err != nil {
			p.broken = fmt.Errorf("could not be tried: %w", err)
			return p
		}
		last = t.publisher.position(ack)
	}
	for _, c := range s.chapters {
		if err := t.applied(ctx, c.desk.service, subject, last); err != nil {
			p.broken = errors.Join(p.broken, err)
			continue
		}
		p.broken = errors.Join(p.broken, t.stillDenied(ctx, c.desk, subject))
	}
	return p
}

// stillDenied asks a guard until it answers out of the state: that it could not
// look in time is a denial too, but shows nothing.
func (t *teller) stillDenied(ctx context.Context, d *desk, subject events.Subject) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last guard.Decision
	err := until(ctx, func() (bool, error) {
		last = t.guards[d.service].Check(ctx, subject, d.purpose)
		return last.Allowed || last.Reason == events.ByWithdrawal, nil
	})
	if err != nil || last.Allowed {
		return fmt.Errorf("%s answered %v", d.service, last)
	}
	return nil
}

// applied waits until a service's cache holds all of the log up to a position.
func (t *teller) applied(ctx context.Context, service string, subject events.Subject, at events.Position) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := until(ctx, func() (bool, error) {
		view, err := t.readers[service].Lookup(ctx, subject)
		return err == nil && view.Next > at.Offset, err
	})
	if err != nil {
		return fmt.Errorf("%s did not get to %v: %w", service, at, err)
	}
	return nil
}

// caughtUp waits until every service has applied what the crowd brought along.
func (t *teller) caughtUp(ctx context.Context, c *crowd) error {
	select {
	case <-c.arrived:
	case <-ctx.Done():
		return ctx.Err()
	}
	for i := range t.desks {
		for _, last := range c.last {
			if err := t.applied(ctx, t.desks[i].service, last.subject, last.at); err != nil {
				return err
			}
		}
	}
	return nil
}
