package consumers

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/cache"
)

// claimHook is a store that calls a function between a claim and its answer.
type claimHook struct {
	Store
	claimed func()
}

func (h *claimHook) Claim(ctx context.Context, p int32) (cache.Mark, error) {
	mark, err := h.Store.Claim(ctx, p)
	if h.claimed != nil {
		h.claimed()
	}
	return mark, err
}

// The reader claims a partition anew while the actor acts in it. The cache refuses the
// actor then, and nobody else owns the partition: no cause to leave the group.
func TestTheActorDoesNotTakeOurOwnClaimForThatOfAnother(t *testing.T) {
	b := newBed(t)
	hook := &claimHook{Store: b.cfg.Store}
	b.cfg.Store = hook
	c, err := New(b.cfg)
	require.NoError(t, err)
	r := &reader{Consumer: c, lane: newLane(), session: &fakeSession{log: b.log}, receipts: newReceipts(c), parts: make(map[int32]*partition), memory: 100}
	r.goBy(b.policy.Current())
	require.NoError(t, r.claim(t.Context(), 0))
	p, actor := r.parts[0], newActor(c, r.receipts, r.parts)
	p.under = p.epoch.Load()
	act := func() error {
		return actor.owning(t.Context(), p, "act", func(epoch int64) error {
			_, err := hook.Done(t.Context(), 0, epoch, nil)
			return err
		})
	}
	require.NoError(t, act())
	var meanwhile error
	hook.claimed = func() { meanwhile = act() }
	require.NoError(t, r.take(t.Context(), p, false))
	require.ErrorIs(t, meanwhile, errElsewhere)

	hook.claimed = nil
	p.under = p.epoch.Load()
	_, err = hook.Store.Claim(t.Context(), 0) // another consumer
	require.NoError(t, err)
	require.ErrorIs(t, act(), cache.ErrFenced)
}
