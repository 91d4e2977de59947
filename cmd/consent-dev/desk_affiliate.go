package main

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/cmd/internal/roles"
	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/events"
)

// The one partner: abroad, so that its data needs the grant to cross the border.
const (
	partnerID      = "nordkino"
	partnerCountry = "NO"
	partnerPurpose = "partner-contracts"
)

// newPartner returns the partner with a key that is forgotten at the end.
func newPartner() (affiliate.Partner, error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails (crypto/rand, since Go 1.24)
	key, err := affiliate.NewKey(secret)
	return affiliate.Partner{
		ID: partnerID, Country: partnerCountry, Purposes: []events.Purpose{partnerPurpose}, Current: key,
	}, err
}

func affiliateDesk(p *roles.Platform, client redis.UniversalClient, slots []consumers.Slot) (desk, error) {
	d := desk{
		purpose: "cross-border", also: []events.Purpose{partnerPurpose},
		stops: "pseudonym closed, partner " + partnerID + " acknowledged the stop",
	}
	team, err := affiliate.Open(client, slots, p.Partners)
	if err != nil {
		return d, err
	}
	queue, err := affiliate.OpenQueue(client, slots, partnerID, courierLease)
	if err != nil {
		return d, err
	}
	c := &courier{queue: queue, partitions: int32(len(slots)), expected: make(map[affiliate.Pseudonym]bool)}
	names := make(map[events.Subject]affiliate.Pseudonym) // of the story's subjects, one at a time
	d.use = func(ctx context.Context, s events.Subject) error {
		shares, err := team.Share(ctx, partnerID, partnerPurpose, s)
		if err != nil {
			return err
		}
		if shares[0].Pseudonym == "" {
			return errNotUsed
		}
		names[s] = shares[0].Pseudonym
		c.expect(shares[0].Pseudonym)
		return nil
	}
	d.stopped = func(ctx context.Context, s events.Subject) (bool, error) {
		if err := c.deliver(ctx, events.PartitionOf(s.Reveal(), int32(len(slots)))); err != nil {
			return false, err
		}
		shares, err := team.Share(ctx, partnerID, partnerPurpose, s)
		if err != nil || !shares[0].Closed || !c.delivered(names[s]) {
			return false, err
		}
		delete(names, s)
		return true, nil
	}
	d.background = c.run
	return d, nil
}

const (
	// courierLease is how long a stop is the courier's: nothing here takes longer.
	courierLease = 10 * time.Second
	// courierPause is how often all partitions are looked through: a story looks
	// for its own stop sooner.
	courierPause = time.Second
	// courierLoad is how many stops are carried at once.
	courierLoad = 100
)

// courier plays the delivery to the partner, who acknowledges everything at
// once.
type courier struct {
	queue      *affiliate.Queue
	partitions int32

	mu       sync.Mutex
	expected map[affiliate.Pseudonym]bool // true once the partner got the stop
}

// expect makes the courier remember what it delivers for a pseudonym.
func (c *courier) expect(p affiliate.Pseudonym) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expected[p] = false
}

// delivered says, once, whether an expected stop was.
func (c *courier) delivered(p affiliate.Pseudonym) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	done := c.expected[p]
	if done {
		delete(c.expected, p)
	}
	return done
}

// deliver carries the stops of one partition that are due.
func (c *courier) deliver(ctx context.Context, partition int32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	stops, err := c.queue.Next(ctx, partition, time.Now(), courierLoad)
	if err != nil || len(stops) == 0 {
		return err
	}
	for _, stop := range stops {
		for _, p := range stop.Pseudonyms {
			if _, known := c.expected[p]; known {
				c.expected[p] = true
			}
		}
	}
	return c.queue.Ack(ctx, stops...)
}

// run carries everything else, until ctx ends.
func (c *courier) run(ctx context.Context) error {
	tick := time.NewTicker(courierPause)
	defer tick.Stop()
	for {
		for partition := range c.partitions {
			_ = c.deliver(ctx, partition) // what fails stays in the queue and is tried again
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
