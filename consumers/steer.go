package consumers

import (
	"context"
	"errors"
	"time"

	"github.com/kelisim/kelisim/internal/cache"
)

// RetryAfter returns err with the wish that the action be called again after d
// and not sooner, as when a store that is behind the action says so.
func RetryAfter(err error, d time.Duration) error { return &retryAfter{err, d} }

type retryAfter struct {
	error
	after time.Duration
}

func (r *retryAfter) Unwrap() error { return r.error }

// retryPause returns how long to wait after err: what it asks for, or the usual.
func retryPause(err error, usual time.Duration) time.Duration {
	var r *retryAfter
	if errors.As(err, &r) {
		return r.after
	}
	return usual
}

// passing says whether trying the same again may help. Everything that is not
// known to need another step is tried again: a withdrawal is never skipped.
func passing(err error) bool {
	for _, step := range []error{
		cache.ErrMoved, cache.ErrFenced, cache.ErrOutdated, cache.ErrDamaged, cache.ErrLayout, cache.ErrEvicting,
		errElsewhere, context.Canceled,
	} {
		if errors.Is(err, step) {
			return false
		}
	}
	return true
}
