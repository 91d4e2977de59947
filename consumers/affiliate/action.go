// Package affiliate keeps data from partners when consent goes: the partner's
// pseudonyms of the subject are closed, and a stop waits in the partner's queue
// until its delivery is acknowledged. A partner abroad also needs the grant to
// cross the border: the general one, or one for this partner alone.
//
// [Action] is the consumer's side; consumers drives it. [Desk] is the side of
// whoever shares data: pseudonyms, refused for whom they must be. [Queue] is the
// side of whoever delivers stops; delivery itself is left to it. Whether a person
// agreed is not kept here; ask the guard. docs/services.md describes every key.
package affiliate

import (
	"context"
	_ "embed" // the script
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots"
	"github.com/kelisim/kelisim/events"
)

// Name is the service's name, of its consumer group and its keys.
const Name = "affiliate"

// crossBorder is the purpose that a partner abroad needs beside its own, unless
// its file names one of its own.
const crossBorder events.Purpose = "cross-border"

// Purposes returns what affiliate acts on by the seed policy, whoever the partners
// are. What a published version names it for joins them.
func Purposes() []events.Purpose {
	return []events.Purpose{"partner-contracts", "contractors", crossBorder}
}

// Service returns what the engine has to know of affiliate.
func Service(action *Action) consumers.Service {
	return consumers.Service{Name: Name, Purposes: Purposes(), Action: action}
}

// Acted counts what one script of an action did. A repeat of the same turns
// counts none of it again, except Turns.
type Acted struct {
	Turns  int // subjects looked at
	Late   int // of these, left alone: what is known of them here is newer
	Closed int // pseudonyms closed for a purpose, over all partners and keys
	Opened int // pseudonyms opened again, for the person agreed again
	Queued int // stops to deliver
}

// Action keeps affiliate's keys in line with where subjects stand. It is safe for
// concurrent use.
type Action struct {
	script   slots.Script
	line     slots.Line // by the seed
	partners []Partner
	report   func(Acted)
	now      func() time.Time
}

//go:embed act.lua
var actLua string

// New returns the action on a Redis for some partners, which may be none. The
// rules must hold affiliate's purposes by the seed; what the partners' entries name
// beside them may come with a later version of the policy. After every script report
// is called, if there is one; it holds neither subject nor pseudonym.
func New(client redis.UniversalClient, rules *events.Rules, partners []Partner, report func(Acted)) (*Action, error) {
	line, err := slots.LineOf(rules, Purposes())
	if err == nil {
		err = check(partners)
	}
	if err != nil {
		return nil, fmt.Errorf("affiliate: %w", err)
	}
	if report == nil {
		report = func(Acted) {}
	}
	return &Action{
		script: slots.NewAction(client, actLua), line: line, partners: cloned(partners), report: report, now: time.Now,
	}, nil
}

// Act implements [consumers.Action]. For each partner and purpose that is stopped
// the subject's pseudonyms under every key in use are closed, and when it was
// closed under none of them yet, a stop is queued; what is allowed is opened
// again. A queued stop is delivered even when the person agrees again before:
// what the partner did in between had no ground, and it must know. It costs one
// script for at most [slots.MaxSubjects] turns, fewer where there are many
// partners.
//
// A turn counts only while its subject waits in the slot's outbox, and not once
// a newer turn was acted on: a consumer that lost its partition and does not
// know it yet cannot undo what its successor did.
func (a *Action) Act(ctx context.Context, at consumers.Slot, turns []consumers.Turn) error {
	now, to := a.now(), recipients(a.partners, a.line.At(at))
	for chunk := range slots.Chunks(slots.Newest(turns), members(to)) {
		args, err := arguments(now, to, chunk)
		acted := Acted{Turns: len(chunk)}
		if err == nil {
			err = a.script.Count(ctx, at, []*int{&acted.Late, &acted.Closed, &acted.Opened, &acted.Queued}, args...)
		}
		if err != nil {
			return fmt.Errorf("affiliate: act on partition %d: %w", at.Partition, err)
		}
		a.report(acted)
	}
	return nil
}

// arguments returns those of the script, as it describes them.
func arguments(now time.Time, to []recipient, turns []consumers.Turn) ([]any, error) {
	args := make([]any, 0, 2+len(to)+len(turns)*(3+3*len(to)))
	args = append(args, strconv.FormatInt(now.UnixMilli(), 10), len(to))
	for i := range to {
		args = append(args, to[i].ID+" "+to[i].line.Names())
	}
	for _, t := range turns {
		args = append(args, t.Subject.Reveal(), slots.Offset(t), t.Version.String())
		for i := range to {
			r := &to[i]
			signs, pseudonyms := r.spell(t.Standing), r.pseudonyms(t.Subject)
			text := ""
			if stopped := r.stopped(signs); len(stopped) > 0 {
				stop := Stop{Partner: r.ID, Pseudonyms: pseudonyms, Purposes: stopped, DecidedBy: t.Version, Enqueued: now}
				var err error
				if text, err = stop.encode(); err != nil {
					return nil, fmt.Errorf("stop for partner %s: %w", r.ID, err)
				}
			}
			args = append(args, signs, joined(pseudonyms), text)
		}
	}
	return args, nil
}

// joined writes pseudonyms for a script.
func joined(pseudonyms []Pseudonym) string { return strings.Join(slots.Words(pseudonyms), " ") }
