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
	"slices"
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

// Purposes returns what affiliate uses data for, whoever the partners are.
func Purposes() []events.Purpose { return append(shared(), crossBorder) }

// Service returns what the engine has to know of affiliate. It follows the
// borders of the action's partners too.
func Service(action *Action) consumers.Service {
	return consumers.Service{Name: Name, Purposes: append(Purposes(), action.borders()...), Action: action}
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
	partners []recipient
	header   []any // the script's arguments that name the partners
	report   func(Acted)
	now      func() time.Time
}

// recipient is a partner as the action needs it.
type recipient struct {
	Partner
	codes  []events.Code // of its purposes
	border slots.Signs   // the code of what crosses its border; none at home
}

// borders returns what crosses the partners' borders beside cross-border.
func (a *Action) borders() (own []events.Purpose) {
	for i := range a.partners {
		if b := a.partners[i].Border; b != "" && b != crossBorder && !slices.Contains(own, b) {
			own = append(own, b)
		}
	}
	return own
}

//go:embed act.lua
var actLua string

// New returns the action on a Redis for some partners, which may be none. The
// rules must hold affiliate's purposes and the partners' borders. After every script report is called, if
// there is one; it holds neither subject nor pseudonym.
func New(client redis.UniversalClient, rules *events.Rules, partners []Partner, report func(Acted)) (*Action, error) {
	if err := check(partners); err != nil {
		return nil, fmt.Errorf("affiliate: %w", err)
	}
	if _, err := slots.SignsOf(rules, Purposes()); err != nil {
		return nil, fmt.Errorf("affiliate: %w", err)
	}
	if report == nil {
		report = func(Acted) {}
	}
	a := &Action{script: slots.NewAction(client, actLua), report: report, now: time.Now}
	a.header = append(a.header, len(partners))
	for _, p := range partners {
		codes, err := slots.SignsOf(rules, p.Purposes)
		if err != nil {
			return nil, fmt.Errorf("affiliate: partner %q: %w", p.ID, err)
		}
		border, err := borderOf(rules, &p)
		if err != nil {
			return nil, fmt.Errorf("affiliate: partner %q: %w", p.ID, err)
		}
		p.Purposes = slices.Clone(p.Purposes)
		a.partners = append(a.partners, recipient{Partner: p, codes: codes, border: border})
		a.header = append(a.header, p.ID+" "+strings.Join(slots.Words(p.Purposes), " "))
	}
	return a, nil
}

// borderOf returns the code of what crosses the partner's border. It must rest on
// consent: what the law or a contract opens, no withdrawal would close.
func borderOf(rules *events.Rules, p *Partner) (slots.Signs, error) {
	name := p.border()
	if name == "" {
		return nil, nil
	}
	if rule, known := rules.Rule(name); known && rule.Basis != events.Consent {
		return nil, fmt.Errorf("border %q rests on %s: want consent", name, rule.Basis)
	}
	signs, err := slots.SignsOf(rules, []events.Purpose{name})
	if err != nil {
		return nil, fmt.Errorf("border: %w", err)
	}
	return signs, nil
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
	makers := a.makers()
	for chunk := range slots.Chunks(slots.Newest(turns), a.members()) {
		args, err := a.arguments(chunk, makers)
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
func (a *Action) arguments(turns []consumers.Turn, makers [][]func(events.Subject) Pseudonym) ([]any, error) {
	now := a.now()
	args := make([]any, 0, 1+len(a.header)+len(turns)*(3+3*len(a.partners)))
	args = append(args, strconv.FormatInt(now.UnixMilli(), 10))
	args = append(args, a.header...)
	for _, t := range turns {
		args = append(args, t.Subject.Reveal(), slots.Offset(t), t.Version.String())
		for i := range a.partners {
			p := &a.partners[i]
			signs := p.spell(t.Standing)
			stop := Stop{Partner: p.ID, DecidedBy: t.Version, Enqueued: now}
			for _, pseudonym := range makers[i] {
				stop.Pseudonyms = append(stop.Pseudonyms, pseudonym(t.Subject))
			}
			text := ""
			if stop.Purposes = p.stopped(signs); len(stop.Purposes) > 0 {
				var err error
				if text, err = stop.encode(); err != nil {
					return nil, fmt.Errorf("stop for partner %s: %w", p.ID, err)
				}
			}
			args = append(args, signs, joined(stop.Pseudonyms), text)
		}
	}
	return args, nil
}

// makers returns, per partner, what makes its pseudonyms under each of its keys.
func (a *Action) makers() [][]func(events.Subject) Pseudonym {
	all := make([][]func(events.Subject) Pseudonym, len(a.partners))
	for i := range a.partners {
		for _, key := range a.partners[i].keys() {
			all[i] = append(all[i], key.maker())
		}
	}
	return all
}

// stopWork is what queueing a stop costs, in members: a field of some 300 bytes
// and its place in the queue (measured: 3 µs).
const stopWork = 20

// members returns how many members a turn may remove or add: a pseudonym per key
// and purpose of each partner, looked up and written, and a stop.
func (a *Action) members() (n int) {
	for i := range a.partners {
		n += 2*len(a.partners[i].keys())*len(a.partners[i].codes) + stopWork
	}
	return n
}

// spell writes where a subject stands for the partner, a sign per purpose. Abroad
// what is allowed is stopped when the border is; what was never open for the
// purpose is not stopped by it. A border that nobody decided about stops nothing,
// and what another decision closed is open again: the guard says no, and its first
// grant, which stops nothing either, must find the pseudonym open.
func (r *recipient) spell(standing events.Standing) string {
	signs := []byte(slots.Signs(r.codes).Spell(standing))
	for _, border := range r.border {
		for i, sign := range signs {
			if sign == slots.Allowed && slots.Sign(standing, border) == slots.Stopped {
				signs[i] = slots.Stopped
			}
		}
	}
	return string(signs)
}

func (r *recipient) stopped(signs string) (purposes []events.Purpose) {
	for i, purpose := range r.Purposes {
		if signs[i] == slots.Stopped {
			purposes = append(purposes, purpose)
		}
	}
	return purposes
}

// joined writes pseudonyms for a script.
func joined(pseudonyms []Pseudonym) string { return strings.Join(slots.Words(pseudonyms), " ") }
