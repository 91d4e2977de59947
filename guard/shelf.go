package guard

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/cache"
)

// rereadEvery bounds how often a guard asks for the policies again when it did not
// find what it looked for: a service that cannot publish them would otherwise be
// asked by every check for some hundred kilobytes.
const rereadEvery = 100 * time.Millisecond

// errPolicy means that the cache is of a policy that the guard does not know and
// could not learn.
var errPolicy = errors.New("the cache goes by a policy that is not to be had")

// shelf keeps the policies that a guard has read. A position names the revision
// that its service went by; whoever knows what grew out of that goes by the newer.
type shelf struct {
	read  func(ctx context.Context) (cache.Policies, error)
	held  atomic.Pointer[volume]
	one   singleflight.Group
	tried atomic.Int64 // when, in nanoseconds since began
	began time.Time
}

// volume is what was read.
type volume struct {
	cache.Policies
	book *policy.Book
}

func newShelf(read func(ctx context.Context) (cache.Policies, error)) *shelf {
	s := &shelf{read: read, began: time.Now()}
	s.held.Store(new(volume))
	s.held.Load().book.Rules() // reads the seed, some milliseconds: now, and not within a check
	return s
}

// book returns the book to go by where a position names the revision. It asks at
// most once, for all checks together, and within the context of one of them.
func (s *shelf) book(ctx context.Context, revision string) (*policy.Book, error) {
	if v := s.held.Load(); v.Knows(revision) {
		return v.book, nil
	}
	if revision == "" {
		return nil, errPolicy // of a consumer that knew of no policies
	}
	asked := s.one.DoChan("", func() (any, error) { return nil, s.refresh(ctx, revision) })
	select {
	case answer := <-asked:
		if v := s.held.Load(); v.Knows(revision) {
			return v.book, nil
		}
		if answer.Err != nil {
			return nil, fmt.Errorf("%w: %w", errPolicy, answer.Err)
		}
		return nil, fmt.Errorf("%w: revision %s", errPolicy, revision)
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", errPolicy, context.Cause(ctx))
	}
}

// refresh reads what is published now, unless that was done in vain a moment ago.
func (s *shelf) refresh(ctx context.Context, revision string) error {
	now, last := int64(time.Since(s.began))+1, s.tried.Load()
	if s.held.Load().Knows(revision) || last != 0 && now-last < int64(rereadEvery) {
		return nil
	}
	ctx, cancel := outlive(ctx) // others wait for the answer too
	defer cancel()
	there, err := s.read(ctx)
	if err != nil {
		s.tried.Store(now)
		return err
	}
	book := new(policy.Book)
	if there.Catalogues != "" {
		if book, err = policy.ReadBook([]byte(there.Catalogues)); err != nil {
			s.tried.Store(now)
			return err
		}
	}
	if !s.held.Load().Knows(there.Revision) { // else a failover took the newer ones away
		s.held.Store(&volume{there, book})
	}
	if !there.Knows(revision) {
		s.tried.Store(now)
	}
	return nil
}

// outlive keeps the deadline of a context, and not that its caller may leave.
func outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, _ := ctx.Deadline() // a check has one
	return context.WithDeadline(context.WithoutCancel(ctx), deadline)
}
