// Package doctor finds what kills a pipeline silently: nothing crashes, nobody is
// called, and yet consent is not, or no longer, what the guards say.
//
// [Run] runs every [Check] at once and returns what they find, each finding with
// its severity and its fix. A check that cannot run says so by a finding of its
// own: silence means that something was looked at and is well. Nothing is changed,
// and no subject's id is in any finding.
//
// The checks stand one to a file and in the table of [Checks], which
// docs/doctor.md repeats. What they look at is an [Env]; consentctl makes one.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Severity says how bad a finding is.
type Severity string

// The severities, the worst first.
const (
	Critical Severity = "critical" // consent is misapplied, or denied to everybody, now
	Warning  Severity = "warning"  // it will be, when the next thing goes wrong
	Unknown  Severity = "unknown"  // it could not be looked at
	Info     Severity = "info"     // no fault
)

// severities in their order.
var severities = []Severity{Critical, Warning, Unknown, Info}

// Finding is one thing that was found.
type Finding struct {
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	Object   string   `json:"object"` // what it is about: a topic, a service and its partition, a server
	Found    string   `json:"found"`
	Fix      string   `json:"fix"`
}

// Check looks at one thing.
type Check struct {
	Name  string
	Finds string // what it finds, for people
	// run returns what is wrong. Its error says that it could not look.
	run func(ctx context.Context, e *Env) ([]Finding, error)
}

// timeout bounds one check. A cluster that is away must not keep a person waiting
// that was called because it is away.
const timeout = 15 * time.Second

// Run runs the checks and returns what they found: the worst first, and then in
// the order of the checks.
func Run(ctx context.Context, e *Env, checks []Check) []Finding {
	found := make([][]Finding, len(checks))
	var all sync.WaitGroup
	for i, c := range checks {
		all.Go(func() { found[i] = c.look(ctx, e) })
	}
	all.Wait()
	out := slices.Concat(found...)
	slices.SortStableFunc(out, func(a, b Finding) int {
		return slices.Index(severities, a.Severity) - slices.Index(severities, b.Severity)
	})
	return out
}

// look runs a check within its time and names it in what it found.
func (c Check) look(ctx context.Context, e *Env) []Finding {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	found, err := c.run(ctx, e)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("no answer within %v: %w", timeout, err)
		}
		found = append(found, Finding{
			Severity: Unknown, Object: "consentctl", Found: fmt.Sprintf("could not look: %v", err),
			Fix: "mend what the error names and run it again; until then this is not known to be well",
		})
	}
	for i := range found {
		found[i].Check = c.Name
	}
	return found
}

// Faults counts the findings that are one: all but [Info].
func Faults(found []Finding) (n int) {
	for _, f := range found {
		if f.Severity != Info {
			n++
		}
	}
	return n
}
