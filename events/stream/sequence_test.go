package stream

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
)

func TestSequenceWrapsToZeroAsTheBrokerExpects(t *testing.T) {
	who := identity{id: 7, epoch: 1}
	for _, c := range []struct {
		next int32
		n    int
		want int32
	}{
		{0, 1, 1}, {5, 1000, 1005}, {math.MaxInt32 - 1, 1, math.MaxInt32}, {math.MaxInt32, 1, 0}, {math.MaxInt32 - 2, 5, 2},
	} {
		require.Equal(t, sequence{who, c.want}, sequence{who, c.next}.after(c.n), "%d after %d", c.n, c.next)
	}
}

func TestNewIdentityBeginsAtZero(t *testing.T) {
	old, next := identity{7, 1}, identity{7, 2}
	require.Equal(t, sequence{old, 40}, sequence{old, 40}.as(old))
	require.Equal(t, sequence{next, 0}, sequence{old, 40}.as(next))
}

func TestRetiringMovesOnToTheNextEpochOnce(t *testing.T) {
	asked := int64(0)
	ids := &identities{log: slog.New(slog.DiscardHandler), ask: func(context.Context) (identity, error) {
		asked++
		return identity{id: asked * 100}, nil
	}}
	get := func() identity {
		who, err := ids.get(t.Context())
		require.NoError(t, err)
		return who
	}
	lost := errors.New("no answer")
	first := get()
	require.Equal(t, identity{100, 0}, first)
	require.Equal(t, first, get(), "one identity for all")
	ids.retire(first, lost)
	ids.retire(first, lost) // another partition, in doubt under the same identity
	require.Equal(t, identity{100, 1}, get())

	ids.retire(get(), kafka.InvalidProducerEpoch)
	require.Equal(t, identity{200, 0}, get(), "a broker knows a later epoch than ours")
	ids.retire(first, lost)
	require.Equal(t, identity{200, 0}, get(), "long gone already")

	ids.current.epoch = math.MaxInt16
	ids.retire(get(), lost)
	require.Equal(t, identity{300, 0}, get(), "epochs are used up")
}

func TestIdentityThatCannotBeHadIsAskedForAgain(t *testing.T) {
	down := errors.New("down")
	answers := []error{down, down, nil}
	ids := &identities{log: slog.New(slog.DiscardHandler), ask: func(context.Context) (identity, error) {
		err := answers[0]
		answers = answers[1:]
		return identity{id: 1}, err
	}}
	for range 2 {
		_, err := ids.get(t.Context())
		require.ErrorIs(t, err, down)
	}
	_, err := ids.get(t.Context())
	require.NoError(t, err)
}
