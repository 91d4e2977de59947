package cache_test

import (
	"context"
	"io"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
	"github.com/kelisim/kelisim/internal/testenv"
)

// transactions is how many a bulk batch takes, and bulk how many changes it has.
const (
	transactions = 3
	bulk         = (transactions-1)*cache.FillChunk + 1
)

// onTransaction has f decide what becomes of the n-th transaction, and lets all else through.
func (w *wire) onTransaction(n int, f func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error) (seen *int) {
	seen = new(int)
	w.send = func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
		if cmds[0].Name() != "multi" {
			return next(ctx, cmds)
		}
		if *seen++; *seen-1 != n {
			return next(ctx, cmds)
		}
		return f(ctx, cmds, next)
	}
	return seen
}

// farBehind owns a partition that has a wide batch to write.
func farBehind(t *testing.T, addr string) (*owner, *wire) {
	w := &wire{}
	client := connect(t, addr)
	client.AddHook(w)
	o := own(t, open(t, client), bulk)
	o.grow(events.Granted)
	return o, w
}

func (o *owner) wide() cache.Batch {
	b := o.batch()
	b.Wide = true
	return b
}

func (o *owner) stored() (n int) {
	states, err := o.store.Load(o.t.Context(), partition, o.log.Subjects)
	require.NoError(o.t, err)
	for _, s := range states {
		if !s.IsZero() {
			n++
		}
	}
	return n
}

func TestPositionMovesOnlyOnceAllIsFilled(t *testing.T) {
	for lost := range transactions {
		for _, arrives := range []bool{false, true} {
			o, w := farBehind(t, testenv.Redis(t).Addr())
			seen := w.onTransaction(lost, func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
				if arrives {
					_ = next(ctx, cmds)
				}
				lose(cmds...)
				return io.EOF
			})
			b := o.wide()
			require.ErrorIs(t, o.write(b).Err, cache.ErrUnavailable)
			require.Equal(t, lost+1, *seen, "a transaction waits for the answer to the one before")
			view, err := o.store.Lookup(t.Context(), o.log.Subjects[0])
			require.NoError(t, err)
			require.True(t, view.Known, "and what was known is known meanwhile")
			require.Zero(t, view.Next)

			w.send = nil
			require.NoError(t, o.write(b).Err)
			o.isTheFold()
		}
	}
}

func TestNothingIsFilledThatTheScriptRefuses(t *testing.T) {
	server := testenv.Redis(t)
	client := server.Client(t)
	pos := cachetest.Layout().Prefix(partition) + "pos"
	for name, c := range map[string]struct {
		spoil func()
		want  error
	}{
		"another owner":            {func() { own(t, open(t, connect(t, server.Addr())), 1) }, cache.ErrFenced},
		"another position":         {func() { client.HSet(t.Context(), pos, "next", 7) }, cache.ErrMoved},
		"a later generation":       {func() { client.HSet(t.Context(), pos, "gone", 2) }, cache.ErrLayout},
		"a script died half-way":   {func() { client.HSet(t.Context(), pos, "chunk", "3:0?") }, cache.ErrDamaged},
		"newer states are stored":  {func() { client.HSet(t.Context(), pos, "top", 9) }, nil},
		"there is no position yet": {func() { client.Del(t.Context(), pos) }, cache.ErrMoved},
	} {
		server.Flush(t)
		o, w := farBehind(t, server.Addr())
		c.spoil()
		seen := w.onTransaction(-1, nil)
		require.ErrorIs(t, o.write(o.wide()).Err, c.want, name)
		require.Zero(t, *seen, name)
		if c.want != nil {
			require.Empty(t, client.Keys(t.Context(), "*}:s:*").Val(), name)
		}
	}
}

func TestTransactionOfAFencedOwnerIsVoid(t *testing.T) {
	server := testenv.Redis(t)
	o, w := farBehind(t, server.Addr())
	var heir *owner
	w.onTransaction(1, func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
		heir = own(t, open(t, connect(t, server.Addr())), bulk)
		return next(ctx, cmds)
	})
	require.ErrorIs(t, o.write(o.wide()).Err, cache.ErrFenced)
	require.Equal(t, cache.FillChunk, heir.stored())
	heir.grow(events.Granted)
	heir.load()
	require.NoError(t, heir.write(heir.wide()).Err)
	heir.isTheFold()
}

func TestTransactionThatComesLateIsVoid(t *testing.T) {
	o, w := farBehind(t, testenv.Redis(t).Addr())
	late, come, void := make(chan struct{}), make(chan struct{}), error(nil)
	w.onTransaction(1, func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
		close(late)
		<-come
		void = next(ctx, cmds)
		return void
	})
	b := o.wide()
	slow := make(chan cache.Result)
	go func() { slow <- o.store.Write(context.WithoutCancel(t.Context()), []cache.Batch{b})[0] }()
	<-late
	require.NoError(t, o.write(b).Err)
	o.grow(events.Withdrawn)
	require.NoError(t, o.write(o.wide()).Err)
	close(come)
	require.ErrorIs(t, (<-slow).Err, cache.ErrMoved)
	require.ErrorIs(t, void, redis.Nil)
	o.isTheFold()
}

// TestTransactionBehindAnotherAttemptIsNotSent: both attempts are of the same owner,
// and the second got half-way between a transaction of the first and its next look.
func TestTransactionBehindAnotherAttemptIsNotSent(t *testing.T) {
	o, w := farBehind(t, testenv.Redis(t).Addr())
	b := o.wide()
	seen := w.onTransaction(0, func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
		look := len(cmds) - 2
		require.NoError(t, next(ctx, cmds[:look]))
		first := w.send
		w.send = func(ctx context.Context, scripts []redis.Cmder, next redis.ProcessPipelineHook) error {
			if scripts[0].Name() != "evalsha" {
				return next(ctx, scripts)
			}
			last := len(scripts) - 1
			_ = next(ctx, scripts[:last])
			lose(scripts[last])
			return io.EOF
		}
		require.ErrorIs(t, o.write(b).Err, cache.ErrUnavailable)
		w.send = first
		return next(ctx, cmds[look:])
	})
	require.NoError(t, o.write(b).Err)
	require.Equal(t, 1, *seen)
	o.isTheFold()
}

func TestHalfFilledBatchIsComparedWhenItComesAgain(t *testing.T) {
	o, w := farBehind(t, testenv.Redis(t).Addr())
	w.onTransaction(1, func(_ context.Context, cmds []redis.Cmder, _ redis.ProcessPipelineHook) error {
		lose(cmds...)
		return io.EOF
	})
	require.ErrorIs(t, o.write(o.wide()).Err, cache.ErrUnavailable)
	w.send = nil
	o.grow(events.Withdrawn)
	o.states = map[events.Subject]events.State{}
	require.ErrorIs(t, o.write(o.wide()).Err, cache.ErrOutdated, "folded from what was before the half")
	o.load()
	require.NoError(t, o.write(o.wide()).Err)
	o.isTheFold()
}
