package cache_test

import (
	"context"
	"io"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
	"github.com/kelisim/kelisim/internal/testenv"
)

// TestStateThatIsGoneIsSeenWhicheverTransactionMeetsIt, and the partition is known no more.
func TestStateThatIsGoneIsSeenWhicheverTransactionMeetsIt(t *testing.T) {
	for gone := range transactions {
		server := testenv.Redis(t)
		o, w := farBehind(t, server.Addr())
		require.NoError(t, o.write(o.wide()).Err)
		o.grow(events.Withdrawn)
		w.onTransaction(gone, func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
			deleteBucket(t, server.Client(t), cmds)
			return next(ctx, cmds)
		})
		b := o.wide()
		require.ErrorIs(t, o.write(b).Err, cache.ErrDamaged)
		require.ErrorIs(t, o.write(b).Err, cache.ErrDamaged)
	}
}

// deleteBucket deletes the first bucket that a transaction writes, behind its back.
func deleteBucket(t *testing.T, client *redis.Client, cmds []redis.Cmder) {
	for _, cmd := range cmds {
		if key, ok := cmd.Args()[min(1, len(cmd.Args())-1)].(*string); ok {
			require.NoError(t, client.Del(t.Context(), *key).Err())
			return
		}
	}
}

// TestLossThatNobodyHeardOfIsFoundBeforeAnythingFollows: states are lost, a transaction
// notices, and its answer is lost, or who waited for it dies.
func TestLossThatNobodyHeardOfIsFoundBeforeAnythingFollows(t *testing.T) {
	for name, lost := range map[string]string{"of the transaction": "multi", "of the script": "evalsha"} {
		for _, dies := range []bool{false, true} {
			server := testenv.Redis(t)
			o, w := farBehind(t, server.Addr())
			require.NoError(t, o.write(o.wide()).Err)
			for i := 0; i < bulk; i += 2 { // their neighbours have nothing but what is lost
				o.log.Append(events.Withdrawn, i, "promotion")
			}
			b := o.wide()
			w.send = func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
				if cmds[0].Name() == "multi" {
					deleteBucket(t, server.Client(t), cmds)
				}
				if cmds[0].Name() != lost {
					return next(ctx, cmds)
				}
				if lost == "multi" {
					_ = next(ctx, cmds)
				}
				lose(cmds...)
				return io.EOF
			}
			require.ErrorIs(t, o.write(b).Err, cache.ErrUnavailable, name)
			w.send = nil
			view, err := o.store.Lookup(t.Context(), o.log.Subjects[0])
			require.NoError(t, err)
			require.True(t, view.Known, "and what is known is known meanwhile")
			if dies {
				heir := own(t, open(t, connect(t, server.Addr())), bulk)
				heir.log, o = o.log, heir
				o.load()
				b = o.wide()
			}
			for range 2 {
				require.ErrorIs(t, o.write(b).Err, cache.ErrDamaged, "%s, dies: %v", name, dies)
			}
			o.begin(0)
			o.catchUp()
			o.isTheFold()
		}
	}
}

// TestOutboxThatIsNoneIsFoundThoughAllIsStored: the states are there, and nothing in
// the outbox says that they are to be acted on.
func TestOutboxThatIsNoneIsFoundThoughAllIsStored(t *testing.T) {
	server := testenv.Redis(t)
	o, w := farBehind(t, server.Addr())
	require.NoError(t, server.Client(t).Set(t.Context(), cachetest.Layout().Prefix(partition)+"outbox", "text", 0).Err())
	w.onTransaction(0, func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
		_ = next(ctx, cmds)
		lose(cmds...)
		return io.EOF
	})
	b := o.wide()
	b.Changes = b.Changes[:cache.FillChunk] // one transaction
	for i := range b.Changes {
		b.Changes[i].Act = true
	}
	require.ErrorIs(t, o.write(b).Err, cache.ErrUnavailable)
	w.send = nil
	for range 2 {
		require.ErrorIs(t, o.write(b).Err, cache.ErrDamaged)
		require.Equal(t, "0", server.Client(t).HGet(t.Context(), cachetest.Layout().Prefix(partition)+"pos", "next").Val())
	}
}

// TestOutboxThatIsNoneIsFoundThoughNothingGoesThere: who is told that a batch is stored
// goes by the mark that comes with it, and here is none.
func TestOutboxThatIsNoneIsFoundThoughNothingGoesThere(t *testing.T) {
	server := testenv.Redis(t)
	o := own(t, open(t, connect(t, server.Addr())), 3)
	o.grow(events.Granted)
	b := o.batch()
	for i := range b.Changes {
		b.Changes[i].Act = false
	}
	require.NoError(t, server.Client(t).Set(t.Context(), cachetest.Layout().Prefix(partition)+"outbox", "text", 0).Err())
	require.ErrorIs(t, o.write(b).Err, cache.ErrDamaged)
}

// TestSilenceEndsAllThatHaveNotBegun: a server that hangs costs one wait, and not one
// for every round of partitions.
func TestSilenceEndsAllThatHaveNotBegun(t *testing.T) {
	w := &wire{}
	client := connect(t, testenv.Redis(t).Addr())
	client.AddHook(w)
	store := open(t, client)
	var batches []cache.Batch
	for p := range cachetest.Layout().Partitions {
		mark, err := store.Claim(t.Context(), p)
		require.NoError(t, err)
		mark, err = store.Begin(t.Context(), p, mark.Epoch, 0)
		require.NoError(t, err)
		log := cachetest.NewLog(cachetest.Layout(), p, 2)
		log.Append(events.Granted, 0, "promotion")
		b := log.Batch(map[events.Subject]events.State{}, mark.Epoch, 0, 1)
		b.Wide = true
		batches = append(batches, b)
	}
	many := append(append(append([]cache.Batch{}, batches...), batches...), batches...)
	var sent atomic.Int32
	w.send = func(_ context.Context, cmds []redis.Cmder, _ redis.ProcessPipelineHook) error {
		sent.Add(1)
		lose(cmds...)
		return io.EOF
	}
	for _, r := range store.Write(t.Context(), many) {
		require.ErrorIs(t, r.Err, cache.ErrUnavailable)
	}
	require.LessOrEqual(t, int(sent.Load()), cache.Fillers+1)
	require.Greater(t, len(many), 2*cache.Fillers)
}

func TestCancelledFillStopsBehindTheTransactionThatIsOut(t *testing.T) {
	o, w := farBehind(t, testenv.Redis(t).Addr())
	ctx, cancel := context.WithCancel(t.Context())
	seen := w.onTransaction(0, func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
		defer cancel()
		return next(ctx, cmds)
	})
	b := o.wide()
	require.ErrorIs(t, o.store.Write(ctx, []cache.Batch{b})[0].Err, context.Canceled)
	require.Equal(t, 1, *seen)
	w.send = nil
	require.NoError(t, o.write(b).Err)
	o.isTheFold()
}
