package consumers

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/cache"
)

// Policy is the policy as whoever follows its topic knows it.
type Policy interface {
	// Current returns the edition in force, never nil.
	Current() *policy.Edition
	// Superseded returns a channel that is closed as soon as Current is another
	// edition than the given one.
	Superseded(*policy.Edition) <-chan struct{}
	// Proved returns the latest moment of which it is known that the current edition
	// held everything published by then; the zero time if there is none.
	Proved() time.Time
	// CatchUp returns once the current edition holds everything published by now.
	CatchUp(ctx context.Context) error
}

// goBy makes an edition the one that the reader folds by.
func (r *reader) goBy(e *policy.Edition) { r.edition, r.decoder = e, r.cfg.Decoder(e.Rules) }

// dueBy returns which changes an action follows by an edition: of what the service
// has as its own, and of what the policy names it for.
func (c *Consumer) dueBy(e *policy.Edition) trigger {
	due := c.due
	due.serves |= e.Book.Serves(c.cfg.Service.Name)
	return due
}

// servingBy returns what dueBy does, for the action.
func (c *Consumer) servingBy(e *policy.Edition) *Serving {
	serves := c.dueBy(e).serves
	return &Serving{Purposes: e.Rules.Names(serves), Codes: slices.Collect(serves.Codes())}
}

// turn goes by the current edition from now on. Every partition of the lane
// announces it with its next part, in which everything is acted on that was folded
// by the edition before: so when that part is stored, no batch is under way whose
// actions were chosen by an older one, and the actor can look for everybody else
// whom the change concerns.
func (r *reader) turn(ctx context.Context) error {
	e := r.cfg.Policy.Current()
	if e == r.edition {
		return nil
	}
	err := r.insist(ctx, "publish policies", func() error { return r.publish(ctx, e) })
	if err != nil {
		return err
	}
	r.goBy(e)
	for _, p := range r.parts {
		part := r.window.of(p)
		part.turned, part.mixed = true, part.mixed || len(part.changed) > 0
	}
	return nil
}

// publish writes the edition's book down for the guards. It stands there before
// any position names it.
func (c *Consumer) publish(ctx context.Context, e *policy.Edition) error {
	catalogues, err := e.Book.JSON()
	if err != nil {
		return fmt.Errorf("policies: %w", err)
	}
	return c.cfg.Store.Publish(ctx, cache.Policies{Revision: e.Revision, Grown: e.Book.Grown(), Catalogues: string(catalogues)})
}

// republishEvery bounds how long guards that start miss the policies after a
// failover or a hand took the key away. Those that know them need no key.
const republishEvery = 5 * time.Second

// keepPublished writes the policies down again where they were lost.
func (c *Consumer) keepPublished(ctx context.Context) error {
	for {
		select {
		case <-time.After(republishEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := c.publish(ctx, c.cfg.Policy.Current()); err != nil && ctx.Err() == nil {
			c.log.Warn("policies not written down; trying again", "err", err)
		}
	}
}

// catchUp makes sure that the reader goes by everything published by now. Once for
// each chunk is enough: all of it had come before.
func (r *reader) catchUp(ctx context.Context) error {
	if r.caught {
		return nil
	}
	if err := r.insist(ctx, "policy", func() error { return r.cfg.Policy.CatchUp(ctx) }); err != nil {
		return fmt.Errorf("catch up with the policy: %w", err)
	}
	r.caught = true
	return r.turn(ctx)
}
