package cache_test

import (
	"context"
	"io"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
	"github.com/kelisim/kelisim/internal/testenv"
)

// wire lets a test decide what becomes of a pipeline on its way.
type wire struct {
	send func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error
}

func (w *wire) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (w *wire) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (w *wire) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if w.send == nil {
			return next(ctx, cmds)
		}
		return w.send(ctx, cmds, next)
	}
}

// chunks is a batch of three scripts.
const chunks = 450

func cut(t *testing.T) (*owner, *wire) {
	w := &wire{}
	client := connect(t, testenv.Redis(t).Addr())
	client.AddHook(w)
	o := own(t, open(t, client), chunks)
	o.grow(events.Granted)
	return o, w
}

func lose(cmds ...redis.Cmder) {
	for _, cmd := range cmds {
		cmd.SetErr(io.EOF)
	}
}

// copied returns commands that live longer than the write that made them.
func copied(ctx context.Context, cmds []redis.Cmder) []redis.Cmder {
	out := make([]redis.Cmder, len(cmds))
	for i, cmd := range cmds {
		args := slices.Clone(cmd.Args())
		for j, arg := range args {
			if text, ok := arg.(*string); ok {
				args[j] = *text
			}
		}
		out[i] = redis.NewCmd(ctx, args...)
	}
	return out
}

func TestLostChunkIsNeverFollowedByAMove(t *testing.T) {
	for lost := range 3 {
		o, w := cut(t)
		w.send = func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
			require.Len(t, cmds, 3)
			err := next(ctx, append(append([]redis.Cmder{}, cmds[:lost]...), cmds[lost+1:]...))
			lose(cmds[lost])
			return err
		}
		b := o.batch()
		require.ErrorIs(t, o.write(b).Err, cache.ErrUnavailable)
		view, err := o.store.Lookup(t.Context(), o.log.Subjects[0])
		require.NoError(t, err)
		require.Zero(t, view.Next)

		w.send = nil
		require.NoError(t, o.write(b).Err)
		o.isTheFold()
	}
}

// TestChunksOfTwoAttemptsDoNotMix: the rest of an attempt that was given up
// arrives late, between the scripts of the next attempt.
func TestChunksOfTwoAttemptsDoNotMix(t *testing.T) {
	o, w := cut(t)
	var late []redis.Cmder
	w.send = func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
		late = copied(ctx, cmds)
		lose(cmds...)
		return nil // all of it is still under way
	}
	b := o.batch()
	require.ErrorIs(t, o.write(b).Err, cache.ErrUnavailable)

	w.send = func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
		w.send = nil
		require.NoError(t, next(ctx, cmds[:1]))
		require.NoError(t, next(ctx, late[1:])) // its first script was lost for good
		for _, cmd := range late[1:] {
			require.NotEqual(t, "0", cmd.(*redis.Cmd).Val().([]any)[0])
		}
		return next(ctx, cmds[1:])
	}
	require.NoError(t, o.write(b).Err)
	o.isTheFold()
}

// TestChunksOfTwoOwnersDoNotMix: both count their attempts from one.
func TestChunksOfTwoOwnersDoNotMix(t *testing.T) {
	server := testenv.Redis(t)
	heir := &wire{}
	for dies, w := range []*wire{{}, heir} {
		client := connect(t, server.Addr())
		client.AddHook(w)
		o := own(t, open(t, client), chunks)
		o.grow(events.Granted)
		w.send = func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
			lose(cmds...)
			if w == heir {
				return next(ctx, cmds[1:]) // but not the first, which the other one wrote
			}
			return next(ctx, cmds[:1])
		}
		require.ErrorIs(t, o.write(o.batch()).Err, cache.ErrUnavailable, "owner %d", dies)
		view, err := o.store.Lookup(t.Context(), o.log.Subjects[0])
		require.NoError(t, err)
		require.Zero(t, view.Next)
		live := cache.NewInspector(connect(t, server.Addr()), cachetest.Layout())
		spots, err := live.Spots(t.Context(), partition)
		require.NoError(t, err)
		require.True(t, spots[0].Midway, "its digest is of no position, whoever claims it, and must not be compared")
	}
}

// TestWiderRetryOfAHalfWrittenBatch: some of a batch was written, and the engine
// comes back with more of the log folded in.
func TestWiderRetryOfAHalfWrittenBatch(t *testing.T) {
	o, w := cut(t)
	w.send = func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
		w.send = nil
		lose(cmds[1:]...)
		return next(ctx, cmds[:1])
	}
	require.ErrorIs(t, o.write(o.batch()).Err, cache.ErrUnavailable)
	o.grow(events.Withdrawn)
	o.states = map[events.Subject]events.State{}
	require.ErrorIs(t, o.write(o.batch()).Err, cache.ErrOutdated, "folded from what was before the half")
	o.load()
	o.catchUp()
	o.isTheFold()
}

// TestHalfWrittenBatchThatNobodyHeardOf: some of a batch was written, and not even
// that was answered, so the store knows of nothing newer.
func TestHalfWrittenBatchThatNobodyHeardOf(t *testing.T) {
	o, w := cut(t)
	w.send = func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
		w.send = nil
		err := next(ctx, cmds[:1])
		lose(cmds...)
		return err
	}
	b := o.batch()
	require.ErrorIs(t, o.write(b).Err, cache.ErrUnavailable)
	waiting, err := o.store.Pending(t.Context(), partition, chunks)
	require.NoError(t, err)
	require.Len(t, waiting, 200)
	_, err = o.store.Done(t.Context(), partition, o.mark.Epoch, waiting)
	require.NoError(t, err)

	result := o.write(b)
	require.NoError(t, result.Err)
	require.Equal(t, 200, result.Skipped)
	o.isTheFold()
	waiting, err = o.store.Pending(t.Context(), partition, chunks)
	require.NoError(t, err)
	require.Len(t, waiting, chunks-200, "what was done is not to be done again")
}

func TestBatchWhoseAnswerWasLostIsNotWrittenTwice(t *testing.T) {
	o, w := cut(t)
	w.send = func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
		w.send = nil
		err := next(ctx, cmds)
		lose(cmds...)
		return err
	}
	b := o.batch()
	require.ErrorIs(t, o.write(b).Err, cache.ErrUnavailable)
	result := o.write(b)
	require.NoError(t, result.Err)
	require.Equal(t, b.To, result.Mark.Next)
	o.isTheFold()
}

func TestPartitionsAreWrittenAtTheSameTime(t *testing.T) {
	store := open(t, connect(t, testenv.Redis(t).Addr()))
	for p := range int32(4) {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			mark, err := store.Claim(t.Context(), p)
			require.NoError(t, err)
			mark, err = store.Begin(t.Context(), p, mark.Epoch, 0)
			require.NoError(t, err)
			for range 20 {
				b := cache.Batch{Partition: p, Epoch: mark.Epoch, From: mark.Next, To: mark.Next + 3}
				result := store.Write(t.Context(), []cache.Batch{b})[0]
				require.NoError(t, result.Err)
				mark = result.Mark
			}
			require.Equal(t, int64(60), mark.Next)
		})
	}
}

// TestNothingIsSentBehindAPipelineThatFailed: a node that is gone would cost one
// deadline for each.
func TestNothingIsSentBehindAPipelineThatFailed(t *testing.T) {
	w := &wire{}
	client := connect(t, testenv.Redis(t).Addr())
	client.AddHook(w)
	o := own(t, open(t, client), cache.PageArgs)
	o.grow(events.Granted)
	sent := 0
	w.send = func(_ context.Context, cmds []redis.Cmder, _ redis.ProcessPipelineHook) error {
		sent += len(cmds)
		lose(cmds...)
		return io.EOF
	}
	b := o.batch()
	require.ErrorIs(t, o.write(b).Err, cache.ErrUnavailable)
	require.Positive(t, sent)
	require.Less(t, sent, cache.PageArgs/cache.LiveChunk, "scripts sent")

	w.send = nil
	require.NoError(t, o.write(b).Err)
	o.isTheFold()
}
