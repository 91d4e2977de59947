package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/cache"
)

const (
	// stopBound is X of the promise: no check that starts later may allow
	// (DESIGN 1, P1).
	stopBound = 5 * time.Second
	// patience is how long anything else may take, joining a group on a real Kafka
	// and rebuilding a cache above all.
	patience = 30 * time.Second
	// look is the pause between two looks while something is waited for: shorter
	// than what is measured, longer than what one look costs the embedded Redis.
	look = 500 * time.Microsecond
)

// teller makes withdrawals happen and measures what they do.
type teller struct {
	desks     []desk
	guards    map[string]*guard.Guard  // by service
	readers   map[string]*cache.Reader // by service: how far it has come
	rules     *events.Rules
	publisher *publisher
	run       string // tells the subjects and ids of this run from those of others
	told      int
}

// tell lets a new subject consent, be used by all services, and withdraw. The
// error says that the story could not be told; broken promises stand in it.
func (t *teller) tell(ctx context.Context) (*story, error) {
	t.told++
	subject, err := events.ParseSubject("demo-" + t.run + "-" + strconv.Itoa(t.told))
	if err != nil {
		return nil, err
	}
	s := &story{number: t.told, subject: subject.Reveal(), began: time.Now()}
	for i := range t.desks {
		s.purposes = append(s.purposes, t.desks[i].purpose)
		s.chapters = append(s.chapters, chapter{desk: &t.desks[i]})
	}
	grant, err := t.grant(subject)
	if err != nil {
		return nil, err
	}
	if _, err := t.publisher.publish(ctx, &grant); err != nil {
		return nil, fmt.Errorf("publish the grant: %w", err)
	}
	if err := t.prepare(ctx, subject, s); err != nil {
		return nil, err
	}
	if err := t.withdraw(ctx, subject, s); err != nil {
		return nil, err
	}
	s.promises = append(s.promises, t.stopsInTime(s), t.explains(s))
	s.promises = append(s.promises, t.staysClosed(ctx, subject, &grant, s))
	return s, nil
}

// grant makes a consent to all that the desks need.
func (t *teller) grant(subject events.Subject) (events.Event, error) {
	var purposes []events.Purpose
	for _, d := range t.desks {
		purposes = append(append(purposes, d.purpose), d.also...)
	}
	return t.event(events.Granted, subject, purposes)
}

// event makes a decision of now.
func (t *teller) event(kind events.Type, subject events.Subject, purposes []events.Purpose) (events.Event, error) {
	set, err := t.rules.Set(purposes...)
	if err != nil {
		return events.Event{}, err
	}
	id := fmt.Sprintf("%s-%d-%d", t.run, t.told, kind)
	e := events.Event{
		Method: events.ByPerson, ID: id, Source: source, Type: kind, Subject: subject, Decided: t.publisher.now(), Purposes: set,
		Evidence: "urn:kelisim:evidence:" + id, Data: []byte(`{"channel":"app"}`),
	}
	if kind == events.Granted {
		e.Policy = policyVersion
	}
	return e, nil
}

// Who stamps the stories' events, and the policy they are given under.
const (
	source        = "/kelisim/consent-dev"
	policyVersion = events.SeedPolicy
)

// prepare waits until every guard allows, and puts the subject to use.
func (t *teller) prepare(ctx context.Context, subject events.Subject, s *story) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	for i := range s.chapters {
		c := &s.chapters[i]
		group.Go(func() error {
			err := until(ctx, func() (bool, error) {
				c.before = t.guards[c.desk.service].Check(ctx, subject, c.desk.purpose)
				return c.before.Allowed, c.before.Err()
			})
			if err != nil {
				return fmt.Errorf("%s did not allow after the grant: %w", c.desk.service, err)
			}
			err = until(ctx, func() (bool, error) {
				err := c.desk.use(ctx, subject)
				return err == nil, err
			})
			if err != nil {
				return fmt.Errorf("put the subject to use at %s: %w", c.desk.service, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// withdraw publishes the withdrawal while all guards and desks are watched.
func (t *teller) withdraw(ctx context.Context, subject events.Subject, s *story) error {
	e, err := t.event(events.Withdrawn, subject, s.purposes)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	seen := make([]struct{ denied, acted time.Time }, len(s.chapters))
	for i := range s.chapters {
		c, at := &s.chapters[i], &seen[i]
		group.Go(func() error {
			err := until(ctx, func() (bool, error) {
				c.after = t.guards[c.desk.service].Check(ctx, subject, c.desk.purpose)
				if c.after.Allowed || at.denied.IsZero() {
					at.denied = time.Now() // from here on it was denied, for whatever reason
				}
				return c.after.Reason == events.ByWithdrawal, nil
			})
			if err != nil {
				return fmt.Errorf("%s answers %v: %w", c.desk.service, c.after, err)
			}
			err = until(ctx, func() (bool, error) { return c.desk.stopped(ctx, subject) })
			at.acted = time.Now()
			if err != nil {
				return fmt.Errorf("%s has not stopped: %w", c.desk.service, err)
			}
			return nil
		})
	}
	sent := time.Now()
	ack, err := t.publisher.publish(ctx, &e)
	acknowledged := time.Now()
	if err != nil {
		cancel()
		_ = group.Wait() // ends for lack of a withdrawal
		return fmt.Errorf("publish the withdrawal: %w", err)
	}
	if err := group.Wait(); err != nil {
		return err
	}
	s.took, s.at = acknowledged.Sub(sent), t.publisher.position(ack)
	for i := range s.chapters {
		s.chapters[i].denied = max(0, seen[i].denied.Sub(acknowledged))
		s.chapters[i].acted = max(0, seen[i].acted.Sub(acknowledged))
	}
	return nil
}

// until calls f until it says yes, or ctx ends: then the error is f's last one,
// if it had any.
func until(ctx context.Context, f func() (bool, error)) error {
	pause := time.NewTicker(look)
	defer pause.Stop()
	for {
		done, err := f()
		if done {
			return nil
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			if err == nil {
				err = context.Cause(ctx)
			}
			return err
		}
	}
}
