package marketing

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

// MaxCampaigns bounds the campaigns of a generation. Each stop visits those of
// its purposes: 512 take Redis about 0.1 ms per subject.
const MaxCampaigns = 512

// What a desk refuses as a whole.
var (
	ErrCampaign = errors.New("no such campaign")
	ErrPurpose  = errors.New("the campaign has another purpose")
	ErrFull     = fmt.Errorf("there are %d campaigns already", MaxCampaigns)
)

// Desk is the marketing team's side: campaigns, their audiences and their sends.
// A campaign serves one purpose and sends once to each subject of its audience;
// a series is several campaigns. All methods are safe for concurrent use, by any
// number of processes.
//
// That a desk admits a subject is no permission: it knows who said no, not who
// said yes. Ask the guard before Admit, and again before each send.
//
// A subject is in doubt, and refused for now, while its state may be newer than
// these keys: its action is still to be done, an event of it is parked, or the
// cache is behind the log by more than the guard accepts.
type Desk struct {
	client    redis.UniversalClient
	slots     slots.Slots
	catalogue *slots.Catalogue

	register, remove, admit, schedule, take, member slots.Script
}

//go:embed register.lua
var registerLua string

//go:embed remove.lua
var removeLua string

//go:embed admit.lua
var admitLua string

//go:embed schedule.lua
var scheduleLua string

//go:embed take.lua
var takeLua string

//go:embed member.lua
var memberLua string

// Slots returns the slots of the generation that the service works on, for Open.
// It fails before the service first ran, and when its Redis was flushed.
func Slots(ctx context.Context, client redis.UniversalClient) ([]consumers.Slot, error) {
	all, err := slots.Recorded(ctx, client, Name)
	if err != nil {
		return nil, fmt.Errorf("marketing: %w", err)
	}
	return all, nil
}

// Open returns a desk over all partitions' slots of one generation, in the order
// of the partitions.
func Open(client redis.UniversalClient, all []consumers.Slot) (*Desk, error) {
	known, err := slots.Of(all)
	if err != nil {
		return nil, fmt.Errorf("marketing: %w", err)
	}
	return &Desk{
		client: client, slots: known, catalogue: slots.NewCatalogue(client, Name),
		register: slots.NewScript(client, registerLua),
		remove:   slots.NewScript(client, removeLua),
		admit:    slots.NewScript(client, admitLua),
		schedule: slots.NewScript(client, scheduleLua),
		take:     slots.NewScript(client, takeLua),
		member:   slots.NewScript(client, memberLua),
	}, nil
}

// Register makes a campaign known in every slot; from then on a stop reaches it. Its
// purpose must be marketing's, by the seed or by a published version of the policy.
// Registering it again with the same purpose changes nothing, and completes what
// an error interrupted.
func (d *Desk) Register(ctx context.Context, campaign string, purpose events.Purpose) error {
	if !slots.IsName(campaign) {
		return fmt.Errorf("marketing: register campaign %q: %w", campaign, slots.ErrName)
	}
	if err := d.catalogue.Serves(ctx, purpose); err != nil { // else nothing would stop it here
		return fmt.Errorf("marketing: register campaign %s: %w", campaign, err)
	}
	for _, slot := range d.slots {
		var verdict int
		err := d.register.Count(ctx, slot, []*int{&verdict}, campaign, string(purpose), MaxCampaigns)
		switch {
		case err == nil && verdict == 0:
			err = ErrPurpose
		case err == nil && verdict < 0:
			err = ErrFull
		}
		if err != nil {
			return fmt.Errorf("marketing: register campaign %s: %w", campaign, err)
		}
	}
	return nil
}

// Remove forgets a campaign with its audience and its queue. One that is not
// there is no error.
func (d *Desk) Remove(ctx context.Context, campaign string) error {
	for _, slot := range d.slots {
		if _, err := d.remove.Run(ctx, slot, campaign); err != nil {
			return fmt.Errorf("marketing: remove campaign %s: %w", campaign, err)
		}
	}
	return nil
}

// Campaigns returns the registered campaigns and their purposes.
func (d *Desk) Campaigns(ctx context.Context) (map[string]events.Purpose, error) {
	all, err := d.client.HGetAll(ctx, d.slots[0].Prefix+"campaigns").Result()
	if err != nil {
		return nil, fmt.Errorf("marketing: list campaigns: %w", err)
	}
	campaigns := make(map[string]events.Purpose, len(all))
	for name, purpose := range all {
		campaigns[name] = events.Purpose(purpose)
	}
	return campaigns, nil
}

// Admission says what became of subjects that were to be added.
type Admission struct {
	Added      int // are in it now, whether new or not
	Suppressed int // refused: a decision of theirs stands against the purpose
	Doubted    int // refused for now: their state may be newer than these keys
	Strangers  int // refused: not in the audience (of Schedule)
}

// Admit adds subjects to a campaign's audience, except those who must not be in
// it. After an error some may have been added; admitting all again is harmless.
func (d *Desk) Admit(ctx context.Context, campaign string, subjects ...events.Subject) (Admission, error) {
	var sum Admission
	for slot, some := range d.slots.Group(subjects) {
		found := 0
		places := []*int{&found, &sum.Added, &sum.Suppressed, &sum.Doubted}
		err := d.admit.Count(ctx, slot, places, slots.Args(some, campaign)...)
		if err == nil && found == 0 {
			err = ErrCampaign
		}
		if err != nil {
			return sum, fmt.Errorf("marketing: admit to campaign %s: %w", campaign, err)
		}
	}
	return sum, nil
}

// Membership is one subject's place in a campaign, read at one moment. The zero
// Membership is that of a stranger.
type Membership struct {
	In         bool // in the audience
	Suppressed bool // for the campaign's purpose
	Doubted    bool // the subject's state may be newer than this
}

// Member reads a subject's place in a campaign and whether it may be outdated,
// in one script.
func (d *Desk) Member(ctx context.Context, campaign string, subject events.Subject) (Membership, error) {
	reply, err := d.member.Read(ctx, d.slots.Home(subject), campaign, subject.Reveal())
	if err != nil {
		return Membership{}, fmt.Errorf("marketing: read campaign %s: %w", campaign, err)
	}
	flags, err := slots.Flags(reply, 3)
	if err != nil {
		return Membership{}, fmt.Errorf("marketing: read campaign %s: %w", campaign, err)
	}
	return Membership{In: flags[0], Suppressed: flags[1], Doubted: flags[2]}, nil
}
