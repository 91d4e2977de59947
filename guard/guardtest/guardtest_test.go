package guardtest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/guard/guardtest"
)

func TestDeniesUntilToldOtherwise(t *testing.T) {
	g := guardtest.New()
	who, err := events.ParseSubject("s-1")
	require.NoError(t, err)
	reason := func(p events.Purpose) events.Reason { return g.Check(t.Context(), who, p).Reason }

	require.Equal(t, events.UnknownSubject, reason("promotion"))
	g.Allow(who, "promotion", "surveys")
	require.True(t, g.Check(t.Context(), who, "promotion").Allowed)
	g.Deny(who, "promotion")
	require.Equal(t, events.ByWithdrawal, reason("promotion"))
	require.Equal(t, events.ByGrant, reason("surveys"))
	g.Hold(who, "surveys")
	require.Equal(t, events.Held, reason("surveys"))
	require.Equal(t, guardtest.Question{Subject: who, Purpose: "promotion"}, g.Asked()[0])
	require.Len(t, g.Asked(), 5)
}

func TestStaleAndUnreachableDenyEverything(t *testing.T) {
	g := guardtest.New()
	who, err := events.ParseSubject("s-1")
	require.NoError(t, err)
	g.Allow(who, "promotion")
	away := errors.New("redis is away")
	g.Unreachable(away)
	d := g.Check(t.Context(), who, "promotion")
	require.False(t, d.Allowed)
	require.ErrorIs(t, d.Err(), away)
	require.ErrorIs(t, d.Err(), guard.ErrDenied)
	g.Stale()
	require.Equal(t, events.Stale, g.Check(t.Context(), who, "promotion").Reason)
	g.Recover()
	require.True(t, g.Check(t.Context(), who, "promotion").Allowed)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, events.Unreachable, g.Check(ended, who, "promotion").Reason)
}
