package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events"
)

// stopsInTime is P1, the bounded stop.
func (t *teller) stopsInTime(s *story) promise {
	denied, acted := s.slowest()
	p := promise{text: fmt.Sprintf("every guard denies within %s of the acknowledgement (P1)", stopBound)}
	if denied > stopBound || acted > stopBound {
		p.broken = fmt.Errorf("guards took %s, actions %s", denied, acted)
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
		d := t.guards[c.desk.service].Check(ctx, subject, c.desk.purpose)
		if d.Allowed || d.Reason != events.ByWithdrawal {
			p.broken = errors.Join(p.broken, fmt.Errorf("%s answered %v", c.desk.service, d))
		}
	}
	return p
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
