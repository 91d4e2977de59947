package cachetest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

// verdict stands in for the test that compares two stores, and keeps what it said.
type verdict struct {
	*testing.T
	said   strings.Builder
	failed bool
}

func (v *verdict) Logf(format string, args ...any)   { fmt.Fprintf(&v.said, format+"\n", args...) }
func (v *verdict) Errorf(format string, args ...any) { v.Logf(format, args...); v.failed = true }
func (v *verdict) Failed() bool                      { return v.failed }
func (v *verdict) FailNow()                          { v.failed = true; runtime.Goexit() }

// judge compares what open returns with the store in memory.
func judge(t *testing.T, open Open) *verdict {
	for name, value := range map[string]string{"rapid.nofailfile": "true", "rapid.shrinktime": "0s"} {
		before := flag.Lookup(name).Value.String()
		require.NoError(t, flag.Set(name, value))
		t.Cleanup(func() { _ = flag.Set(name, before) })
	}
	v := &verdict{T: t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		agree(t.Context(), v, open)
	}()
	<-ended
	return v
}

// crooked is a store in memory that something is wrong with.
type crooked struct {
	cache.Store
	claim func() error
	held  bool
}

func (c crooked) Claim(ctx context.Context, partition int32) (cache.Mark, error) {
	if err := c.claim(); err != nil {
		return cache.Mark{}, err
	}
	return c.Store.Claim(ctx, partition)
}

func (c crooked) Lookup(ctx context.Context, s events.Subject) (cache.View, error) {
	v, err := c.Store.Lookup(ctx, s)
	v.Held = v.Held || c.held
	return v, err
}

// opening counts what is opened and not closed.
func opening(open *int, claim func() error, held bool) Open {
	return func(context.Context) (Fixture, error) {
		m, err := cache.NewMemory(Layout(), nil)
		*open++
		return Fixture{Store: crooked{m, claim, held}, Flush: m.Flush, Close: func() { *open-- }}, err
	}
}

var errStall = fmt.Errorf("%w: i/o timeout", cache.ErrUnavailable)

func TestStallCostsOneHistoryAndProvesNothing(t *testing.T) {
	claims, open := 0, 0
	v := judge(t, opening(&open, func() error {
		if claims++; claims%100 == 3 && claims < 100*stallsAllowed {
			return errStall
		}
		return nil
	}, false))
	require.False(t, v.failed, v.said.String())
	require.Greater(t, claims, 200, "some were met by a stall")
	require.Zero(t, open, "every history closes what it opened")
}

func TestStoreThatNeverAnswersAgreesWithNobody(t *testing.T) {
	open := 0
	v := judge(t, opening(&open, func() error { return errStall }, false))
	require.True(t, v.failed)
	require.Contains(t, v.said.String(), "i/o timeout")
	require.Zero(t, open)

	v = judge(t, func(context.Context) (Fixture, error) { return Fixture{}, errStall })
	require.True(t, v.failed)
}

func TestFirstFailureIsToldAsItHappened(t *testing.T) {
	open := 0
	v := judge(t, opening(&open, func() error { return nil }, true))
	require.True(t, v.failed)
	first, _, _ := strings.Cut(v.said.String(), "[rapid]")
	require.Contains(t, first, "the first failure, after claim, ")
	require.Contains(t, first, "compare")
	require.Zero(t, open)

	v = judge(t, opening(&open, func() error { return errors.New("no such thing") }, false))
	require.True(t, v.failed, "an error that is no stall")
	require.Contains(t, v.said.String(), "no such thing")
}
