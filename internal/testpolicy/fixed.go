package testpolicy

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/policy"
)

// Fixed is a policy that never changes, for services in tests that are about
// something else.
type Fixed struct{ edition *policy.Edition }

// NewFixed returns the policy of the given versions.
func NewFixed(t testing.TB, versions ...*policy.Catalogue) Fixed {
	t.Helper()
	book := new(policy.Book)
	for _, c := range versions {
		var err error
		book, err = book.With(c)
		require.NoError(t, err)
	}
	return Fixed{book.Edition(time.Now())}
}

// Current returns the edition.
func (f Fixed) Current() *policy.Edition { return f.edition }

// Superseded returns a channel that is never closed.
func (Fixed) Superseded(*policy.Edition) <-chan struct{} { return nil }

// Proved returns the present.
func (Fixed) Proved() time.Time { return time.Now() }

// CatchUp does nothing.
func (Fixed) CatchUp(context.Context) error { return nil }
