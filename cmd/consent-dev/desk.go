package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/cmd/internal/roles"
	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/consumers/targeting"
	"github.com/kelisim/kelisim/events"
)

// desk is the team behind a service at work: it uses a subject's data, and can
// look whether any of that is left.
type desk struct {
	service string
	purpose events.Purpose   // what the team uses the data for, and the story ends
	also    []events.Purpose // what else it needs
	stops   string           // what a withdrawal does there, for people

	// use puts a subject's data to work. It makes anew what a lost cache took with
	// it, so it may be called at any time.
	use func(context.Context, events.Subject) error
	// stopped says whether nothing of that is left.
	stopped func(context.Context, events.Subject) (bool, error)
	// background is the team's own daily work, until its context ends; nil: none.
	background func(context.Context) error
}

// openDesks opens a desk of each service.
func openDesks(ctx context.Context, p *roles.Platform, client redis.UniversalClient) ([]desk, error) {
	var desks []desk
	for _, service := range []struct {
		name string
		open func(*roles.Platform, redis.UniversalClient, []consumers.Slot) (desk, error)
	}{
		{marketing.Name, marketingDesk},
		{targeting.Name, targetingDesk},
		{affiliate.Name, affiliateDesk},
	} {
		layout, err := p.Layout(ctx, service.name)
		if err != nil {
			return nil, err
		}
		at := roles.Slots(layout)
		slots := make([]consumers.Slot, layout.Partitions)
		for i := range slots {
			slots[i] = at(int32(i))
		}
		d, err := service.open(p, client, slots)
		if err != nil {
			return nil, fmt.Errorf("desk of %s: %w", service.name, err)
		}
		d.service = service.name
		desks = append(desks, d)
	}
	return desks, nil
}

// errNotUsed means that a desk would not have the subject: what is known there
// is not up to date yet. Asking again helps.
var errNotUsed = errors.New("the desk does not take the subject yet")
