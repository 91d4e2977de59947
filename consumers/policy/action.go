// Package policy keeps the calendar of the privacy policy: who accepted a version
// by going on to use the service, whose data is to be erased because retention is
// over, and which refused withdrawals are to be reviewed. What is due it publishes
// as events, so that it decides nothing that the log does not hold.
//
// [Action] is the consumer's side; consumers drives it with every change of a
// state. [Calendar] reads what is due. [Sweeper] publishes erasures and raises
// alarms; [Intake] reads activities and publishes acceptances. The versions of the
// policy are events/policy's. docs/services.md describes every key.
package policy

import (
	"cmp"
	"context"
	_ "embed" // the script
	"errors"
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
const Name = "policy"

// Source is the CloudEvents source of what the service publishes. It is no clock:
// the times of its events are those of what they follow from.
const Source = "/kelisim/policy"

// Service returns what the engine has to know of policy. It stops no purpose and
// follows every change.
func Service(action *Action) consumers.Service {
	return consumers.Service{Name: Name, EveryChange: true, Action: action}
}

// Acted counts what one script of an action did. A repeat of the same turns
// counts none of it again, except Turns.
type Acted struct {
	Turns      int // subjects looked at
	Late       int // of these, left alone: what is known of them here is newer
	Begun      int // retentions that run now
	Stopped    int // retentions that run no more: begun anew, or erased
	Reviews    int // reviews noted
	Suppressed int // subjects noted as erased
	Lifted     int // taken out of these, for the person came back
}

// Config is what an [Action] is made of. Rules, Key and Publisher are required.
type Config struct {
	Rules    func() *events.Rules // of the versions that are known now
	Key      Key                  // suppressed subjects are hashed with it
	Previous Key                  // the one before, while a rotation lasts; else none

	Publisher consumers.Publisher // of proofs
	Receipts  string              // topic; empty: consent.receipts.v1
	Report    func(Acted)         // called after every script, if not nil; it holds no subject
	Now       func() time.Time    // nil: time.Now
}

// Action keeps the calendar in line with where subjects stand. It is safe for
// concurrent use.
type Action struct {
	cfg    Config
	script slots.Script
	proofs proofs
}

//go:embed act.lua
var actLua string

// New returns the action on a Redis.
func New(client redis.UniversalClient, cfg Config) (*Action, error) {
	switch {
	case cfg.Key.IsZero():
		return nil, errors.New("policy: no key to hash suppressed subjects with")
	case cfg.Key == cfg.Previous:
		return nil, errors.New("policy: current and previous key are the same")
	}
	if cfg.Report == nil {
		cfg.Report = func(Acted) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Action{cfg: cfg, script: slots.NewAction(client, actLua), proofs: newProofs(cfg)}, nil
}

// turnMembers is how many members a turn may remove or add.
const turnMembers = 8

// Act implements [consumers.Action]. It notes when the agreement ended, unless it
// began anew, the earliest review of a refusal that stands, and an erasure that
// stands as a keyed hash, and then publishes a proof of each erasure. Repeats
// publish copies.
//
// A turn counts only while its subject waits in the slot's outbox, and not once
// a newer turn was acted on: a consumer that lost its partition and does not
// know it yet cannot undo what its successor did.
func (a *Action) Act(ctx context.Context, at consumers.Slot, turns []consumers.Turn) error {
	hash, rules := a.hasher(), a.cfg.Rules()
	for chunk := range slots.Chunks(slots.Newest(turns), turnMembers) {
		args := make([]any, 0, 6*len(chunk))
		var erased []Proof
		for _, t := range chunk {
			hashes, note := "", "."
			if e := rules.Erasure(t.State); e.Came {
				all := hash(t.Subject)
				hashes, note = strings.Join(all, " "), noteOf(e)
				if e.Stands {
					erased = append(erased, Proof{Service: Name, Hash: all[0], Erased: e.By, At: e.At.Time()})
				}
			}
			args = append(args, t.Subject.Reveal(), slots.Offset(t), ended(rules, t.State), review(rules, t.State), hashes, note)
		}
		acted := Acted{Turns: len(chunk)}
		err := a.script.Count(ctx, at, []*int{
			&acted.Late, &acted.Begun, &acted.Stopped, &acted.Reviews, &acted.Suppressed, &acted.Lifted,
		}, args...)
		if err == nil {
			err = a.proofs.publish(ctx, at.Partition, erased)
		}
		if err != nil {
			return fmt.Errorf("policy: act on partition %d: %w", at.Partition, err)
		}
		a.cfg.Report(acted)
	}
	return nil
}

// hasher returns what hashes a subject under the keys in use, the current first.
func (a *Action) hasher() func(events.Subject) []string {
	hashes := []func(events.Subject) string{a.cfg.Key.Hasher()}
	if !a.cfg.Previous.IsZero() {
		hashes = append(hashes, a.cfg.Previous.Hasher())
	}
	return func(s events.Subject) (all []string) {
		for _, hash := range hashes {
			all = append(all, hash(s))
		}
		return all
	}
}

// noteOf writes what is kept of an erasure: its position and since when it counts.
// One that something permitted since is lifted.
func noteOf(e events.Erasure) string {
	if !e.Stands {
		return ""
	}
	return e.By.String() + " " + millis(e.At)
}

// ended writes when the agreement ended, or nothing.
func ended(rules *events.Rules, s events.State) string {
	if agreement := rules.Agreement(s); agreement.Phase == events.Over {
		return millis(agreement.Ended)
	}
	return ""
}

// review writes when the first review is due, or nothing.
func review(rules *events.Rules, s events.State) string {
	all := rules.Reviews(s)
	if len(all) == 0 {
		return ""
	}
	first := slices.MinFunc(all, func(a, b events.Review) int { return cmp.Compare(a.Due, b.Due) })
	return millis(first.Due)
}

func millis(m events.Millis) string { return strconv.FormatInt(int64(m), 10) }
