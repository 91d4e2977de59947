// Package marketing stops promotion, contests, surveys and research when consent
// goes: the subject leaves the audience and the send queue of every campaign of
// the purpose and joins its suppression set, which survives erasure.
//
// [Action] is the consumer's side; consumers drives it. [Desk] is the side of
// the marketing team: campaigns, audiences and sends, refused for whom they must
// be. Whether a person agreed is not kept here; ask the guard. docs/services.md
// describes every key.
package marketing

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
const Name = "marketing"

// Purposes returns what marketing uses data for by the seed policy. What a published
// version names it for joins them.
func Purposes() []events.Purpose {
	return []events.Purpose{"promotion", "contests", "surveys", "research"}
}

// Service returns what the engine has to know of marketing.
func Service(action *Action) consumers.Service {
	return consumers.Service{Name: Name, Purposes: Purposes(), Action: action}
}

// Acted counts what one script of an action did. A repeat of the same turns
// counts none of it again, except Turns.
type Acted struct {
	Turns        int // subjects looked at
	Late         int // of these, left alone: what is known of them here is newer
	LeftAudience int // memberships removed
	LeftQueue    int // sends taken back
	Suppressed   int // entries added to a suppression set
	Lifted       int // entries taken out of one, for the person agreed again
}

// Action keeps marketing's keys in line with where subjects stand. It is safe
// for concurrent use.
type Action struct {
	script    slots.Script
	line      slots.Line // by the seed
	report    func(Acted)
	campaigns atomic.Int64 // as many as the last script found: they decide how long one takes
}

//go:embed act.lua
var actLua string

// New returns the action on a Redis. The rules must hold marketing's purposes.
// After every script report is called, if there is one; it holds no subject.
func New(client redis.UniversalClient, rules *events.Rules, report func(Acted)) (*Action, error) {
	line, err := slots.LineOf(rules, Purposes())
	if err != nil {
		return nil, fmt.Errorf("marketing: %w", err)
	}
	if report == nil {
		report = func(Acted) {}
	}
	return &Action{script: slots.NewAction(client, actLua), line: line, report: report}, nil
}

// Act implements [consumers.Action]. A purpose that is not allowed takes the
// subject out of the audiences and queues of its campaigns; a stopped one also
// suppresses, until it is allowed again. It costs one script for at most
// [slots.MaxSubjects] turns, fewer where there are many campaigns.
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
		acted, campaigns := Acted{Turns: len(chunk)}, 0
		err := a.script.Count(ctx, at, []*int{
			&acted.Late, &acted.LeftAudience, &acted.LeftQueue, &acted.Suppressed, &acted.Lifted, &campaigns,
		}, args...)
		if err != nil {
			return fmt.Errorf("marketing: act on partition %d: %w", at.Partition, err)
		}
		a.campaigns.Store(int64(campaigns))
		a.report(acted)
	}
	return nil
}

// members returns how many members a turn may remove or add: in audience and
// queue of each campaign, and in each suppression set.
func (a *Action) members(purposes int) int { return 2*int(a.campaigns.Load()) + purposes }
