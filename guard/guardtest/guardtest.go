// Package guardtest has a guard for the tests of code that asks one. It denies
// everybody until told otherwise, needs no Redis, and remembers what it was asked.
package guardtest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/guard"
)

// Guard is a [guard.Checker] that answers what a test says. It may be used by
// many goroutines.
type Guard struct {
	mu      sync.Mutex
	answers map[Question]events.Reason
	all     guard.Decision // instead of any answer, if it has a reason
	asked   []Question
}

var _ guard.Checker = (*Guard)(nil)

// Question is what a guard was asked.
type Question struct {
	Subject events.Subject
	Purpose events.Purpose
}

// New returns a guard that has never heard of anybody.
func New() *Guard { return &Guard{answers: make(map[Question]events.Reason)} }

// Allow makes the guard allow the purposes for the subject, as if it had granted them.
func (g *Guard) Allow(s events.Subject, purposes ...events.Purpose) {
	g.set(events.ByGrant, s, purposes)
}

// Deny makes the guard deny the purposes for the subject, as after a withdrawal.
func (g *Guard) Deny(s events.Subject, purposes ...events.Purpose) {
	g.set(events.ByWithdrawal, s, purposes)
}

// Hold makes the guard deny the purposes for the subject because an event of it
// is parked.
func (g *Guard) Hold(s events.Subject, purposes ...events.Purpose) {
	g.set(events.Held, s, purposes)
}

// Stale makes the guard deny everything, as when the cache is behind the log.
func (g *Guard) Stale() { g.deny(events.Stale, nil) }

// Unreachable makes the guard deny everything, as when Redis cannot be asked.
func (g *Guard) Unreachable(cause error) { g.deny(events.Unreachable, cause) }

// Recover ends Stale and Unreachable.
func (g *Guard) Recover() { g.deny(events.NoReason, nil) }

// Check implements [guard.Checker]. A context that has ended denies.
func (g *Guard) Check(ctx context.Context, s events.Subject, p events.Purpose) guard.Decision {
	g.mu.Lock()
	defer g.mu.Unlock()
	q := Question{s, p}
	g.asked = append(g.asked, q)
	d := g.all
	if err := ctx.Err(); err != nil {
		d = guard.Decision{Answer: events.Answer{Reason: events.Unreachable}, Cause: err}
	}
	d.Purpose = p
	if d.Reason != events.NoReason {
		return d
	}
	why, known := g.answers[q]
	if !known {
		why = events.UnknownSubject
	}
	d.Answer = events.Answer{Allowed: why == events.ByGrant, Reason: why, Basis: events.Consent}
	d.AsOf = time.Now()
	return d
}

// Asked returns every question so far, in order.
func (g *Guard) Asked() []Question {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.asked)
}

func (g *Guard) set(why events.Reason, s events.Subject, purposes []events.Purpose) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range purposes {
		g.answers[Question{s, p}] = why
	}
}

func (g *Guard) deny(why events.Reason, cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = guard.Decision{Answer: events.Answer{Reason: why}, Cause: cause}
}
