package consumers

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/cache"
)

func TestCrashAnywhereLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		rnd := rand.New(rand.NewPCG(3, 4))
		b.story(t, rnd, 300, 25)
		for crash := 1; crash < 60; crash++ {
			b.story(t, rnd, 10, 25)
			dying := &dyingStore{Store: b.store}
			dying.left.Store(int64(crash % 23))
			b.cfg.Store = dying
			dying.stop = b.start(t)
			synctest.Wait()
			<-time.After(5 * time.Millisecond)
			_ = dying.stop()
		}
		b.cfg.Store = b.store
		stop := b.start(t)
		b.waitCaughtUp(t)
		b.requireFolded(t)
		require.NoError(t, stop())
	})
}

// dyingStore works for some calls and then not at all, before or after the call.
type dyingStore struct {
	Store
	left atomic.Int64
	stop func() error
}

var errDead = errors.New("the store is dead")

func (d *dyingStore) dead() bool {
	return d.left.Add(-1) <= 0
}

func (d *dyingStore) Write(ctx context.Context, batches []cache.Batch) []cache.Result {
	out := make([]cache.Result, len(batches))
	if d.left.Load()%2 == 0 && d.dead() {
		for i := range out {
			out[i].Err = errDead
		}
		return out
	}
	out = d.Store.Write(ctx, batches)
	if d.dead() {
		for i := range out {
			out[i].Err = errDead // it was written, but nobody heard
		}
	}
	return out
}

func (d *dyingStore) Done(ctx context.Context, p int32, epoch int64, acted []cache.Pending) (int64, error) {
	if d.dead() {
		return 0, errDead
	}
	return d.Store.Done(ctx, p, epoch, acted)
}

func TestFlushedCacheIsBuiltAgainByTheRunningConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		rnd := rand.New(rand.NewPCG(5, 6))
		b.story(t, rnd, 400, 30)
		stop := b.start(t)
		b.waitCaughtUp(t)
		b.flush()
		view, err := b.store.Lookup(context.Background(), subject(t, 1))
		require.NoError(t, err)
		require.False(t, view.Known)
		b.waitCaughtUp(t) // without a new event: freshness alone finds the gap
		b.requireFolded(t)
		b.story(t, rnd, 50, 30)
		b.flush()
		b.waitCaughtUp(t)
		b.requireFolded(t)
		require.NoError(t, stop())
	})
}

func TestAFencedConsumerJoinsAnewAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		rnd := rand.New(rand.NewPCG(7, 8))
		b.story(t, rnd, 50, 10)
		stop := b.start(t)
		b.waitCaughtUp(t)
		other, err := b.store.Claim(context.Background(), 0)
		require.NoError(t, err)
		b.story(t, rnd, 50, 10)
		<-time.After(500 * time.Millisecond)
		require.Less(t, b.mark(0).Next, b.log.end()[0], "wrote to a partition that another one owns")
		b.waitCaughtUp(t)
		b.requireFolded(t)
		require.Greater(t, b.mark(0).Epoch, other.Epoch)
		require.NoError(t, stop())
	})
}
