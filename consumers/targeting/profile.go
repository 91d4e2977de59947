package targeting

import (
	"context"
	"fmt"
	"slices"

	"github.com/kelisim/kelisim/consumers/internal/slots"
	"github.com/kelisim/kelisim/events"
)

// MaxFeatures bounds the features that are written at once, by what a script may
// unpack; a profile holds as many as the team likes.
const MaxFeatures = 1000

// Learn writes features of a subject for one purpose, at most [MaxFeatures], and
// says whether it did: nothing is written of a subject that must get the default
// or is in doubt.
func (d *Desk) Learn(ctx context.Context, purpose events.Purpose, subject events.Subject, features map[string]string) (bool, error) {
	if err := d.catalogue.Serves(ctx, purpose); err != nil {
		return false, fmt.Errorf("targeting: learn: %w", err)
	}
	if len(features) == 0 || len(features) > MaxFeatures {
		return false, fmt.Errorf("targeting: learn for %s: %d features, want 1 to %d", purpose, len(features), MaxFeatures)
	}
	args := slots.Args([]events.Subject{subject}, string(purpose))
	for name, value := range features {
		args = append(args, name, value)
	}
	var defaulted, doubted int
	if err := d.learn.Count(ctx, d.slots.Home(subject), []*int{&defaulted, &doubted}, args...); err != nil {
		return false, fmt.Errorf("targeting: learn for %s: %w", purpose, err)
	}
	return defaulted == 0 && doubted == 0, nil
}

// Profile is what may be used of a subject for one purpose, read at one moment.
// The zero Profile says: serve the unpersonalised default.
type Profile struct {
	Personal  bool // neither of the two below
	Defaulted bool // a decision of the subject stands against the purpose
	Doubted   bool // the subject's state may be newer than this
	Features  map[string]string
}

// Profile reads a subject's features for one purpose and whether they may be
// used, in one script. A session calls it once and falls back to the default
// when the profile is not personal.
func (d *Desk) Profile(ctx context.Context, purpose events.Purpose, subject events.Subject) (Profile, error) {
	if err := d.catalogue.Serves(ctx, purpose); err != nil {
		return Profile{}, fmt.Errorf("targeting: read a profile: %w", err)
	}
	reply, err := d.profile.Read(ctx, d.slots.Home(subject), string(purpose), subject.Reveal())
	if err != nil {
		return Profile{}, fmt.Errorf("targeting: read a profile for %s: %w", purpose, err)
	}
	flags, err := slots.Flags(reply[:min(2, len(reply))], 2)
	if err != nil {
		return Profile{}, fmt.Errorf("targeting: read a profile for %s: %w", purpose, err)
	}
	p := Profile{Personal: !flags[0] && !flags[1], Defaulted: flags[0], Doubted: flags[1], Features: make(map[string]string)}
	for pair := range slices.Chunk(reply[2:], 2) {
		name, ok1 := pair[0].(string)
		value, ok2 := pair[len(pair)-1].(string)
		if !ok1 || !ok2 {
			return Profile{}, fmt.Errorf("targeting: read a profile for %s: features are no text", purpose)
		}
		p.Features[name] = value
	}
	return p, nil
}
