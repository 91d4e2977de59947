package targeting

import (
	"context"
	_ "embed" // the scripts
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots"
	"github.com/kelisim/kelisim/events"
)

// MaxSegments bounds the segments of a generation. Each stop visits those of its
// purposes: 512 take Redis about 0.1 ms per subject.
const MaxSegments = 512

// What a desk refuses as a whole.
var (
	ErrSegment = errors.New("no such segment")
	ErrPurpose = errors.New("the segment has another purpose")
	ErrFull    = fmt.Errorf("there are %d segments already", MaxSegments)
)

// Desk is the targeting team's side: segments and their members, profiles and
// their features. A segment serves one purpose, and so does a profile: what is
// learned for one is not used for another. All methods are safe for concurrent
// use, by any number of processes.
//
// That a desk hands out a profile is no permission: it knows who said no, not who
// said yes. Ask the guard before.
//
// A subject is in doubt, and gets the default for now, while its state may be
// newer than these keys: its action is still to be done, an event of it is
// parked, or the cache is behind the log by more than the guard accepts.
type Desk struct {
	client    redis.UniversalClient
	slots     slots.Slots
	catalogue *slots.Catalogue

	register, remove, join, member, learn, profile slots.Script
}

//go:embed register.lua
var registerLua string

//go:embed remove.lua
var removeLua string

//go:embed join.lua
var joinLua string

//go:embed member.lua
var memberLua string

//go:embed learn.lua
var learnLua string

//go:embed profile.lua
var profileLua string

// Slots returns the slots of the generation that the service works on, for Open.
// It fails before the service first ran, and when its Redis was flushed.
func Slots(ctx context.Context, client redis.UniversalClient) ([]consumers.Slot, error) {
	all, err := slots.Recorded(ctx, client, Name)
	if err != nil {
		return nil, fmt.Errorf("targeting: %w", err)
	}
	return all, nil
}

// Open returns a desk over all partitions' slots of one generation, in the order
// of the partitions.
func Open(client redis.UniversalClient, all []consumers.Slot) (*Desk, error) {
	known, err := slots.Of(all)
	if err != nil {
		return nil, fmt.Errorf("targeting: %w", err)
	}
	return &Desk{
		client: client, slots: known, catalogue: slots.NewCatalogue(client, Name),
		register: slots.NewScript(client, registerLua),
		remove:   slots.NewScript(client, removeLua),
		join:     slots.NewScript(client, joinLua),
		member:   slots.NewScript(client, memberLua),
		learn:    slots.NewScript(client, learnLua),
		profile:  slots.NewScript(client, profileLua),
	}, nil
}

// Register makes a segment known in every slot; from then on a stop reaches it. Its
// purpose must be targeting's, by the seed or by a published version of the policy.
// Registering it again with the same purpose changes nothing, and completes what
// an error interrupted.
func (d *Desk) Register(ctx context.Context, segment string, purpose events.Purpose) error {
	if !slots.IsName(segment) {
		return fmt.Errorf("targeting: register segment %q: %w", segment, slots.ErrName)
	}
	if err := d.catalogue.Serves(ctx, purpose); err != nil { // else nothing would stop it here
		return fmt.Errorf("targeting: register segment %s: %w", segment, err)
	}
	for _, slot := range d.slots {
		var verdict int
		err := d.register.Count(ctx, slot, []*int{&verdict}, segment, string(purpose), MaxSegments)
		switch {
		case err == nil && verdict == 0:
			err = ErrPurpose
		case err == nil && verdict < 0:
			err = ErrFull
		}
		if err != nil {
			return fmt.Errorf("targeting: register segment %s: %w", segment, err)
		}
	}
	return nil
}

// Remove forgets a segment with its members. One that is not there is no error.
func (d *Desk) Remove(ctx context.Context, segment string) error {
	for _, slot := range d.slots {
		if _, err := d.remove.Run(ctx, slot, segment); err != nil {
			return fmt.Errorf("targeting: remove segment %s: %w", segment, err)
		}
	}
	return nil
}

// Segments returns the registered segments and their purposes.
func (d *Desk) Segments(ctx context.Context) (map[string]events.Purpose, error) {
	all, err := d.client.HGetAll(ctx, d.slots[0].Prefix+"segments").Result()
	if err != nil {
		return nil, fmt.Errorf("targeting: list segments: %w", err)
	}
	segments := make(map[string]events.Purpose, len(all))
	for name, purpose := range all {
		segments[name] = events.Purpose(purpose)
	}
	return segments, nil
}

// Joining says what became of subjects that were to join a segment.
type Joining struct {
	Joined    int // are in it now, whether new or not
	Defaulted int // refused: a decision of theirs stands against the purpose
	Doubted   int // refused for now: their state may be newer than these keys
}

// Join adds subjects to a segment, except those who must not be in it. After an
// error some may have joined; to have all join again is harmless.
func (d *Desk) Join(ctx context.Context, segment string, subjects ...events.Subject) (Joining, error) {
	var sum Joining
	for slot, some := range d.slots.Group(subjects) {
		found := 0
		places := []*int{&found, &sum.Joined, &sum.Defaulted, &sum.Doubted}
		err := d.join.Count(ctx, slot, places, slots.Args(some, segment)...)
		if err == nil && found == 0 {
			err = ErrSegment
		}
		if err != nil {
			return sum, fmt.Errorf("targeting: join segment %s: %w", segment, err)
		}
	}
	return sum, nil
}

// Membership is one subject's place in a segment, read at one moment. The zero
// Membership is that of a stranger.
type Membership struct {
	In        bool // in the segment
	Defaulted bool // must get the unpersonalised default for the segment's purpose
	Doubted   bool // the subject's state may be newer than this
}

// Member reads a subject's place in a segment and whether it may be outdated, in
// one script.
func (d *Desk) Member(ctx context.Context, segment string, subject events.Subject) (Membership, error) {
	reply, err := d.member.Read(ctx, d.slots.Home(subject), segment, subject.Reveal())
	if err != nil {
		return Membership{}, fmt.Errorf("targeting: read segment %s: %w", segment, err)
	}
	flags, err := slots.Flags(reply, 3)
	if err != nil {
		return Membership{}, fmt.Errorf("targeting: read segment %s: %w", segment, err)
	}
	return Membership{In: flags[0], Defaulted: flags[1], Doubted: flags[2]}, nil
}
