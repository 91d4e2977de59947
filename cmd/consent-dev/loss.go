package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events"
)

// survivesLoss is P5 with the harshest repair: the whole cache is emptied under
// way. Every answer is no until the running services have rebuilt it from the
// log; then a subject that consented is allowed again, and the story's subject,
// asked all the while, never was.
func (t *teller) survivesLoss(ctx context.Context, s *story, flush func(context.Context) error) promise {
	p := promise{text: "after FLUSHALL everything is denied until rebuilt from the log (P5)"}
	withdrawn, err := events.ParseSubject(s.subject)
	if err != nil {
		p.broken = err
		return p
	}
	witness, err := t.witness(ctx, s)
	if err != nil {
		p.broken = fmt.Errorf("could not be tried: %w", err)
		return p
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := flush(ctx); err != nil {
		p.broken = fmt.Errorf("could not be tried: %w", err)
		return p
	}
	emptied, denials := time.Now(), 0
	err = until(ctx, func() (bool, error) {
		back := true
		for i := range t.desks {
			d := &t.desks[i]
			if a := t.guards[d.service].Check(ctx, withdrawn, d.purpose); a.Allowed {
				return false, fmt.Errorf("%s allowed the withdrawn subject: %v", d.service, a)
			}
			if a := t.guards[d.service].Check(ctx, witness, d.purpose); !a.Allowed {
				back, denials = false, denials+1
			}
		}
		return back, errors.New("not everything is allowed again")
	})
	switch {
	case err != nil:
		p.broken = err
	case denials == 0:
		p.broken = errors.New("nothing was denied although the cache was empty")
	default:
		p.text += fmt.Sprintf(", here for %s", millis(time.Since(emptied)))
	}
	return p
}

// witness returns a subject that has consented, and whom all guards allow.
func (t *teller) witness(ctx context.Context, s *story) (events.Subject, error) {
	subject, err := events.ParseSubject(s.subject + "-witness")
	if err != nil {
		return subject, err
	}
	grant, err := t.grant(subject)
	if err != nil {
		return subject, err
	}
	grant.ID += "-witness"
	if _, err := t.publisher.publish(ctx, &grant); err != nil {
		return subject, err
	}
	return subject, t.allowed(ctx, subject)
}

// allowed waits until all guards allow the subject.
func (t *teller) allowed(ctx context.Context, subject events.Subject) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return until(ctx, func() (bool, error) {
		for i := range t.desks {
			d := &t.desks[i]
			if err := t.guards[d.service].Check(ctx, subject, d.purpose).Err(); err != nil {
				return false, fmt.Errorf("%s: %w", d.service, err)
			}
		}
		return true, nil
	})
}
