package affiliate

import (
	"context"
	_ "embed" // the script
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots"
	"github.com/kelisim/kelisim/events"
)

// What a desk refuses as a whole.
var (
	ErrPartner = errors.New("no such partner")
	ErrPurpose = errors.New("the partner does not serve the purpose")
)

// Desk is the side of whoever shares data with partners: it turns subjects into
// the partner's pseudonyms, except those that must not be shared. It is safe for
// concurrent use, by any number of processes, each with the same keys.
//
// That a desk names a pseudonym is no permission: it knows who said no, not who
// said yes. Ask the guard before, for a partner abroad also for its border.
//
// A subject is in doubt, and not shared for now, while its state may be newer
// than these keys: its action is still to be done, an event of it is parked, or
// the cache is behind the log by more than the guard accepts. So it is while nobody
// was acted on yet by the version of the policy that names affiliate for the purpose.
type Desk struct {
	slots     slots.Slots
	catalogue *slots.Catalogue
	partners  []Partner
	share     slots.Script
}

//go:embed share.lua
var shareLua string

// Slots returns the slots of the generation that the service works on, for Open.
// It fails before the service first ran, and when its Redis was flushed.
func Slots(ctx context.Context, client redis.UniversalClient) ([]consumers.Slot, error) {
	all, err := slots.Recorded(ctx, client, Name)
	if err != nil {
		return nil, fmt.Errorf("affiliate: %w", err)
	}
	return all, nil
}

// Open returns a desk over all partitions' slots of one generation, in the order
// of the partitions.
func Open(client redis.UniversalClient, all []consumers.Slot, partners []Partner) (*Desk, error) {
	known, err := slots.Of(all)
	if err == nil {
		err = check(partners)
	}
	if err != nil {
		return nil, fmt.Errorf("affiliate: %w", err)
	}
	return &Desk{
		slots: known, catalogue: slots.NewCatalogue(client, Name), partners: cloned(partners), share: slots.NewScript(client, shareLua),
	}, nil
}

// Share is what may be shared of one subject with one partner. The zero Share is
// nothing.
type Share struct {
	Subject   events.Subject
	Pseudonym Pseudonym // under the partner's current key; empty unless it may be shared
	Closed    bool      // a decision of the subject stands against it
	Doubted   bool      // the subject's state may be newer than this
}

// Share returns what may be shared of subjects with a partner for a purpose, in
// their order. A subject that is closed under either key of a rotation is closed.
// For what the partner's entry does not name, or no version of the policy names
// affiliate for, as purpose or as border, nothing is: [ErrPurpose], [ErrUnserved].
func (d *Desk) Share(ctx context.Context, partner string, purpose events.Purpose, subjects ...events.Subject) ([]Share, error) {
	to, older, err := d.recipient(ctx, partner, purpose)
	if err != nil {
		return nil, fmt.Errorf("affiliate: share with %q for %q: %w", partner, purpose, err)
	}
	ask := question{to, purpose, strings.Join(older, " ")}
	found := make(map[events.Subject]Share, len(subjects))
	for slot, some := range d.slots.Group(subjects) {
		if err := d.read(ctx, slot, ask, some, found); err != nil {
			return nil, fmt.Errorf("affiliate: share with %s for %s: %w", partner, purpose, err)
		}
	}
	shares := make([]Share, len(subjects))
	for i, subject := range subjects {
		shares[i] = found[subject]
	}
	return shares, nil
}

// question is what all subjects of one call are asked about.
type question struct {
	*Partner
	purpose events.Purpose
	older   string // revisions of the policy by which a slot must not have been swept last, separated by spaces
}

// recipient returns the partner, if it may be given anything for the purpose at all,
// and the older revisions, see [slots.Catalogue.Passes].
func (d *Desk) recipient(ctx context.Context, partner string, purpose events.Purpose) (to *Partner, older []string, err error) {
	i := slices.IndexFunc(d.partners, func(p Partner) bool { return p.ID == partner })
	if i < 0 {
		return nil, nil, ErrPartner
	}
	p := &d.partners[i]
	if !slices.Contains(p.Purposes, purpose) {
		return nil, nil, ErrPurpose
	}
	older, err = d.catalogue.Passes(ctx, func(all Versions) error { return p.gap(all, purpose) })
	return p, older, err
}

// read adds what one slot says of its subjects.
func (d *Desk) read(
	ctx context.Context, slot consumers.Slot, ask question, subjects []events.Subject, found map[events.Subject]Share,
) error {
	args := make([]any, 0, 3+2*len(subjects))
	args = append(args, ask.ID, string(ask.purpose), ask.older)
	current := make([]Pseudonym, len(subjects))
	var makers []func(events.Subject) Pseudonym
	for _, key := range ask.keys() {
		makers = append(makers, key.maker())
	}
	for i, subject := range subjects {
		var pseudonyms []Pseudonym
		for _, pseudonym := range makers {
			pseudonyms = append(pseudonyms, pseudonym(subject))
		}
		current[i] = pseudonyms[0]
		args = append(args, subject.Reveal(), joined(pseudonyms))
	}
	reply, err := d.share.Read(ctx, slot, args...)
	if err != nil {
		return err
	}
	if len(reply) != len(subjects) {
		return fmt.Errorf("script replied with %d values, want %d", len(reply), len(subjects))
	}
	for i, subject := range subjects {
		says, ok := reply[i].(int64)
		if !ok || says>>2 != 0 {
			return fmt.Errorf("script replied with %T at place %d, want 0 to 3", reply[i], i)
		}
		share := Share{Subject: subject, Closed: says&1 != 0, Doubted: says&2 != 0}
		if says == 0 {
			share.Pseudonym = current[i]
		}
		found[subject] = share
	}
	return nil
}
