// Package audit is how consentctl acts, and the record of it: whatever changes
// something says who did it, why, by which plan, and what came of it, on the
// topic consent.audit.v1.
//
// A command makes its plan, gives it to an [Actor] together with what carries it
// out, and prints its result:
//
//	report, err := planOf(...)
//	err = actor.Do(ctx, audit.Act{Command: "offsets move", Plan: report.Plan},
//		func(ctx context.Context) (string, error) {
//			err := move(ctx, report)
//			report.State = stateDone
//			return "12 partitions moved", err
//		})
//	return report, err
//
// There are two actors. [DryRun] carries nothing out: the report then still says
// what would be done. [Recorder] records that the act begins, carries it out,
// and records how it ended; what cannot be recorded is not begun. Which of the
// two a command gets is decided once, by --apply, and never by an if of its own:
// what its flags do not permit it tells the actor, see [Act.Forbidden].
//
// Plans, results and errors hold no subject but masked ones: the record is kept
// for ten years.
package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Act is something to be done.
type Act struct {
	Command string // as it is typed: "offsets move"
	Plan    any    // what is to be done exactly; the hash of its JSON form is recorded

	Approver  string // the second operator who agrees to it; recorded
	Forbidden error  // why it must not be done, though it may be shown: nobody permitted what it would allow
}

// Actor carries acts out, or does as if.
type Actor interface {
	// By says on whose word it acts.
	By() Who

	// Do carries the act out, unless it is forbidden. The text that do returns is
	// recorded as the result: a few words, with counts. The error is do's, or
	// [Act.Forbidden], or says that the act could not be recorded.
	Do(ctx context.Context, act Act, do func(context.Context) (result string, err error)) error
}

// DryRun carries nothing out, on nobody's word, and finds every act well.
type DryRun struct{}

// By implements [Actor].
func (DryRun) By() Who { return Who{Operator: "nobody", Reason: "a dry run"} }

// Do implements [Actor]: it does nothing.
func (DryRun) Do(context.Context, Act, func(context.Context) (string, error)) error { return nil }

// Hash returns what a plan is known by: "sha256:" and the hash of its JSON form.
func Hash(plan any) (string, error) {
	text, err := json.Marshal(plan)
	if err != nil {
		return "", fmt.Errorf("hash of the plan: %w", err)
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}
