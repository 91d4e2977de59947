// Package targeting forgets when consent goes: the subject's profile features for
// the purpose are deleted, it leaves every segment of the purpose, and sessions
// fall back to the unpersonalised default.
//
// [Action] is the consumer's side; consumers drives it. [Desk] is the side of
// the targeting team: features and segments, refused for whom they must be.
// Whether a person agreed is not kept here; ask the guard. docs/services.md
// describes every key.
package targeting

import (
	"context"
	_ "embed" // the script
	"fmt"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots"
	"github.com/kelisim/kelisim/events"
)

// Name is the service's name, of its consumer group and its keys.
const Name = "targeting"

// Purposes returns what targeting uses data for by the seed policy. What a published
// version names it for joins them.
func Purposes() []events.Purpose {
	return []events.Purpose{"personalisation", "targeted-ads", "new-services"}
}

// Service returns what the engine has to know of targeting.
func Service(action *Action) consumers.Service {
	return consumers.Service{Name: Name, Purposes: Purposes(), Action: action}
}

// Acted counts what one script of an action did. A repeat of the same turns
// counts none of it again, except Turns.
type Acted struct {
	Turns        int // subjects looked at
	Late         int // of these, left alone: what is known of them here is newer
	Forgotten    int // profiles deleted
	LeftSegments int // memberships removed
	Defaulted    int // put on the unpersonalised default for a purpose
	Cleared      int // taken off it, for the person agreed again
}

// Action keeps targeting's keys in line with where subjects stand. It is safe
// for concurrent use.
type Action struct {
	script   slots.Script
	line     slots.Line // by the seed
	report   func(Acted)
	segments atomic.Int64 // as many as the last script found: they decide how long one takes
}

//go:embed act.lua
var actLua string

// New returns the action on a Redis. The rules must hold targeting's purposes.
// After every script report is called, if there is one; it holds no subject.
func New(client redis.UniversalClient, rules *events.Rules, report func(Acted)) (*Action, error) {
	line, err := slots.LineOf(rules, Purposes())
	if err != nil {
		return nil, fmt.Errorf("targeting: %w", err)
	}
	if report == nil {
		report = func(Acted) {}
	}
	return &Action{script: slots.NewAction(client, actLua), line: line, report: report}, nil
}

// Act implements [consumers.Action]. A purpose that is not allowed loses the
// subject's features and its memberships; a stopped one also puts it on the
// default, until it is allowed again. It costs one script for at most
// [slots.MaxSubjects] turns, fewer where there are many segments.
//
// A turn counts only while its subject waits in the slot's outbox, and not once
// a newer turn was acted on: a consumer that lost its partition and does not
// know it yet cannot undo what its successor did. A key that a team spoiled is
// an error, after everything else is done.
func (a *Action) Act(ctx context.Context, at consumers.Slot, turns []consumers.Turn) error {
	line := a.line.At(at)
	for chunk := range slots.Chunks(slots.Newest(turns), a.members(len(line.Signs))) {
		args := make([]any, 0, 1+3*len(chunk))
		args = append(args, line.Names())
		for _, t := range chunk {
			args = append(args, t.Subject.Reveal(), slots.Offset(t), line.Signs.Spell(t.Standing))
		}
		acted, segments := Acted{Turns: len(chunk)}, 0
		err := a.script.Count(ctx, at, []*int{
			&acted.Late, &acted.Forgotten, &acted.LeftSegments, &acted.Defaulted, &acted.Cleared, &segments,
		}, args...)
		if err != nil {
			return fmt.Errorf("targeting: act on partition %d: %w", at.Partition, err)
		}
		a.segments.Store(int64(segments))
		a.report(acted)
	}
	return nil
}

// members returns how many members and keys a turn may remove or add: in each
// segment, and for each purpose a profile and a flag.
func (a *Action) members(purposes int) int { return int(a.segments.Load()) + 2*purposes }
