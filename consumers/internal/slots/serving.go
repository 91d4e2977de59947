package slots

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/cache"
)

// Line is the purposes that a script acts on, and their signs in the same order.
type Line struct {
	Purposes []events.Purpose
	Signs    Signs
}

// LineOf returns the line of some purposes.
func LineOf(rules *events.Rules, purposes []events.Purpose) (Line, error) {
	signs, err := SignsOf(rules, purposes)
	return Line{purposes, signs}, err
}

// Names returns the purposes as a script reads them, separated by spaces.
func (l Line) Names() string { return strings.Join(Words(l.Purposes), " ") }

// Of returns the line of those of some purposes that this one has, in their order.
func (l Line) Of(purposes ...events.Purpose) (some Line) {
	for _, p := range purposes {
		if i := slices.Index(l.Purposes, p); i >= 0 {
			some.Purposes, some.Signs = append(some.Purposes, p), append(some.Signs, l.Signs[i])
		}
	}
	return some
}

// At returns what the policy has the service act on in a slot, or the line itself
// where nobody says.
func (l Line) At(slot consumers.Slot) Line {
	if slot.Serves == nil {
		return l
	}
	return Line{slot.Serves.Purposes, slot.Serves.Codes}
}

// Versions are the published versions of the policy, as far as a service's purposes
// go; a policy.Book is one.
type Versions interface {
	// Named returns the rule of a purpose that any version names a service for.
	Named(service string, purpose events.Purpose) (events.Rule, bool)
}

// Catalogue tells a team's side for which purposes the service acts: those that the
// seed or a published version of the policy names it for, as the service wrote the
// versions down in Redis. It is safe for concurrent use.
type Catalogue struct {
	reader  *cache.Reader
	service string

	known atomic.Pointer[versions] // as read last; nil, and so the seed, at first
}

// versions are those that a service wrote down, and the revisions they grew out of.
type versions struct {
	book  *policy.Book
	older []string
}

// NewCatalogue returns the catalogue of a service. It asks nothing yet.
func NewCatalogue(client redis.UniversalClient, service string) *Catalogue {
	return &Catalogue{reader: cache.NewReader(client, service), service: service}
}

// Serves returns nil if the service acts on a purpose. For one that is not the seed's
// it reads the policy, once. Where that cannot be read, nobody is known to stop it:
// that is an error too.
func (c *Catalogue) Serves(ctx context.Context, purpose events.Purpose) error {
	_, err := c.Passes(ctx, func(all Versions) error {
		if _, named := all.Named(c.service, purpose); !named {
			return fmt.Errorf("purpose %q is not %s's", purpose, c.service)
		}
		return nil
	})
	return err
}

// Passes returns no error if the published versions pass a check. Where those that
// were read before do not, it reads what there is now. What passes once must pass
// whatever versions come. The older revisions are those that the versions grew out of:
// in a slot that was last swept by one of these nobody may have been acted on yet for
// what passed.
func (c *Catalogue) Passes(ctx context.Context, check func(Versions) error) (older []string, err error) {
	known := c.versions()
	fault := check(known.book)
	if fault == nil {
		return known.older, nil
	}
	there, err := c.reader.Policies(ctx)
	if err == nil && there.Catalogues != "" {
		var book *policy.Book
		if book, err = policy.ReadBook([]byte(there.Catalogues)); err == nil {
			c.known.Store(&versions{book, there.Grown})
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s, as far as is known: %w", fault.Error(), err)
	}
	known = c.versions()
	return known.older, check(known.book)
}

func (c *Catalogue) versions() versions {
	if known := c.known.Load(); known != nil {
		return *known
	}
	return versions{}
}
