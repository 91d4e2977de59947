package slots

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/cache"
)

// Line is the purposes that a script acts on: as it reads them, and their signs.
type Line struct {
	Signs Signs
	Names string // separated by spaces, in the order of the signs
}

// LineOf returns the line of some purposes.
func LineOf(rules *events.Rules, purposes []events.Purpose) (Line, error) {
	signs, err := SignsOf(rules, purposes)
	if err != nil {
		return Line{}, err
	}
	return Line{signs, strings.Join(Words(purposes), " ")}, nil
}

// At returns what the policy has the service act on in a slot, or the line itself
// where nobody says.
func (l Line) At(slot consumers.Slot) Line {
	if slot.Serves == nil {
		return l
	}
	return Line{Signs(slot.Serves.Codes), strings.Join(Words(slot.Serves.Purposes), " ")}
}

// Catalogue tells a team's side for which purposes the service acts: its own, and
// those that a published version of the policy names it for, as the service wrote
// them down in Redis. It is safe for concurrent use.
type Catalogue struct {
	reader  *cache.Reader
	service string
	own     []events.Purpose

	mu    sync.Mutex
	named []events.Purpose // as read last; what was named stays
}

// NewCatalogue returns the catalogue of a service. It asks nothing yet.
func NewCatalogue(client redis.UniversalClient, service string, own []events.Purpose) *Catalogue {
	return &Catalogue{reader: cache.NewReader(client, service), service: service, own: own}
}

// Serves returns nil if the service acts on a purpose. For one that is not its own
// it reads the policy, once. Where that cannot be read, nobody is known to stop it:
// that is an error too.
func (c *Catalogue) Serves(ctx context.Context, purpose events.Purpose) error {
	if slices.Contains(c.own, purpose) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.named, purpose) {
		return nil
	}
	there, err := c.reader.Policies(ctx)
	if err != nil {
		return fmt.Errorf("purpose %q: is it %s's? %w", purpose, c.service, err)
	}
	book := new(policy.Book)
	if there.Catalogues != "" {
		if book, err = policy.ReadBook([]byte(there.Catalogues)); err != nil {
			return fmt.Errorf("purpose %q: is it %s's? %w", purpose, c.service, err)
		}
	}
	c.named = book.Rules().Names(book.Serves(c.service))
	if !slices.Contains(c.named, purpose) {
		return fmt.Errorf("purpose %q is not %s's", purpose, c.service)
	}
	return nil
}
