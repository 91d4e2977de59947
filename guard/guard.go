package guard

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

// The bounds of DESIGN 1, P1: three seconds of staleness, half a second between
// clocks, and 50 ms for the check itself stay well inside the five seconds after
// which nobody is allowed any more.
const (
	DefaultMaxStaleness = 3 * time.Second
	DefaultDeadline     = 50 * time.Millisecond
	maxClockSkew        = 500 * time.Millisecond
)

// relearnEvery bounds how often a guard that gets no fresh answers looks whether
// the layout changed: one more round trip, of one check.
const relearnEvery = time.Second

// Guard checks consent in the cache of one service. It may be used by many
// goroutines, and needs nothing but to read: an ACL user with
// "+evalsha_ro +eval_ro +hget +hmget +hgetall +time" and "%R~consent:*" is enough.
type Guard struct {
	reader       reader
	shelf        *shelf
	maxStaleness time.Duration
	deadline     time.Duration
	progress     progress
	relearned    atomic.Int64 // when, in nanoseconds since started
	started      time.Time
}

// reader is what a guard needs of the cache.
type reader interface {
	Lookup(ctx context.Context, s events.Subject) (cache.View, error)
	Relearn(ctx context.Context) (changed bool, err error)
	Policies(ctx context.Context) (cache.Policies, error)
}

// Option changes a guard from what [New] makes it.
type Option func(*Guard)

// WithMaxStaleness sets how old an answer may be; [DefaultMaxStaleness] by
// default. More than that breaks the promise of five seconds.
func WithMaxStaleness(d time.Duration) Option { return func(g *Guard) { g.maxStaleness = d } }

// WithDeadline sets how long a check may take; [DefaultDeadline] by default. A
// deadline of the context that comes earlier counts.
func WithDeadline(d time.Duration) Option { return func(g *Guard) { g.deadline = d } }

// New returns a guard that reads the cache of a service ("marketing"). It asks
// nothing yet. The client stays the caller's; one with ContextTimeoutEnabled
// saves the guard a goroutine per check.
//
// Every service folds every event, so a guard answers for every purpose of the
// catalogue and not only for those that its service acts on.
func New(client redis.UniversalClient, service string, options ...Option) *Guard {
	return build(bound(client, cache.NewReader(client, service)), options)
}

func build(r reader, options []Option) *Guard {
	g := &Guard{
		reader:       r,
		shelf:        newShelf(r.Policies),
		maxStaleness: DefaultMaxStaleness,
		deadline:     DefaultDeadline,
		started:      time.Now(),
	}
	for _, option := range options {
		option(g)
	}
	return g
}

// Check says whether the subject's data may be used for the purpose now. It asks
// Redis once, and a second time when the policy has changed, and returns within
// the deadline.
func (g *Guard) Check(ctx context.Context, subject events.Subject, purpose events.Purpose) Decision {
	if subject.IsZero() {
		return Decision{Answer: events.Answer{Reason: events.UnknownSubject, Basis: g.basis(purpose)}, Purpose: purpose}
	}
	ctx, cancel := context.WithTimeout(ctx, g.deadline)
	defer cancel()
	d := g.look(ctx, subject, purpose)
	if d.Reason == events.Stale && g.relearn(ctx) {
		d = g.look(ctx, subject, purpose)
	}
	if d.Purpose = purpose; d.Basis == 0 {
		d.Basis = g.basis(purpose)
	}
	return d
}

// basis returns the ground of a purpose, as far as the guard has heard.
func (g *Guard) basis(purpose events.Purpose) events.Basis {
	rule, _ := g.shelf.held.Load().book.RulesAt(time.Now()).Rule(purpose)
	return rule.Basis
}

// look asks once and judges the answer.
func (g *Guard) look(ctx context.Context, subject events.Subject, purpose events.Purpose) Decision {
	asked := time.Now()
	view, err := g.reader.Lookup(ctx, subject)
	switch {
	case errors.Is(err, cache.ErrNoLayout):
		return denied(events.Stale, err)
	case err != nil:
		return denied(events.Unreachable, err)
	case !view.Known || view.Fresh <= 0:
		return denied(events.Stale, errUnknown)
	}
	age := time.Duration(view.Now-view.Fresh) * time.Millisecond
	d := Decision{AsOf: view.Fresh.Time(), Age: max(0, age)}
	if why := g.doubt(view, age, asked); why != nil {
		d.Reason, d.Cause = events.Stale, why
		return d
	}
	book, err := g.shelf.book(ctx, view.Policy)
	switch {
	case err != nil:
		d.Reason, d.Cause = events.Stale, err
	case view.Held:
		d.Reason = events.Held
	default: // the version in force is chosen by Redis' clock, as freshness is
		d.Answer = book.RulesAt(view.Now.Time()).Decide(view.State, purpose)
	}
	return d
}

// Why an answer is not trusted.
var (
	errUnknown = errors.New("it is not known how much of the log was applied")
	errFuture  = errors.New("fresher than the clock of redis: clocks differ too much")
	errBack    = errors.New("redis went back behind what it showed before: it lost writes")
)

// doubt says why a view is not fresh enough, or nil.
func (g *Guard) doubt(v cache.View, age time.Duration, asked time.Time) error {
	still, back := g.progress.see(v, asked)
	switch {
	case age < -maxClockSkew:
		return errFuture
	case max(age, still) > g.maxStaleness:
		return fmt.Errorf("the cache is %v behind the log, or more", max(age, still))
	case back:
		return errBack
	}
	return nil
}

// relearn looks whether the layout changed, if that was not done a moment ago.
func (g *Guard) relearn(ctx context.Context) bool {
	now, last := int64(time.Since(g.started))+1, g.relearned.Load()
	if last != 0 && now-last < int64(relearnEvery) || !g.relearned.CompareAndSwap(last, now) {
		return false
	}
	changed, err := g.reader.Relearn(ctx)
	return changed && err == nil
}

func denied(why events.Reason, cause error) Decision {
	return Decision{Answer: events.Answer{Reason: why}, Cause: cause}
}
