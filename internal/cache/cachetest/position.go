package cachetest

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

func newPartitionIsUnknown(t *testing.T, f Fixture) {
	o := &owner{t: t, store: f.Store, log: NewLog(Layout(), partition, 1), kept: map[events.Subject]events.State{}}
	_, err := f.Store.Begin(t.Context(), partition, 1, 0)
	require.ErrorIs(t, err, cache.ErrMoved, "nobody claimed it")
	o.claim()
	require.Equal(t, cache.Mark{Epoch: o.mark.Epoch}, o.mark)
	require.False(t, o.view(0).Known)

	moved := o.refused(o.batch(0), cache.ErrMoved)
	require.Equal(t, cache.Mark{Epoch: o.mark.Epoch}, moved.Mark)
	require.True(t, o.view(0).State.IsZero())

	o.begin(40)
	require.Equal(t, cache.Mark{Known: true, Next: 40, Acted: 40, Epoch: o.mark.Epoch}, o.mark)
}

func positionIsExact(t *testing.T, f Fixture) {
	o := own(t, f, 2)
	o.write(o.batch(0, 0))
	late := o.batch(1)
	late.From, late.To = 3, 4
	moved := o.refused(late, cache.ErrMoved)
	require.Equal(t, o.mark, moved.Mark)
	var with *cache.MovedError
	require.True(t, errors.As(moved.Err, &with))
	require.Equal(t, int64(3), with.Expected)
	require.Equal(t, int64(2), with.Mark.Next)
	require.True(t, o.view(1).State.IsZero())

	early := late
	early.From = 1
	o.refused(early, cache.ErrMoved)

	nothing := cache.Batch{Partition: partition, Epoch: o.mark.Epoch, From: 2, To: 9}
	require.Equal(t, int64(9), o.write(nothing)[0].Mark.Next, "a range without changes moves too")
}

func stateNeverGoesBack(t *testing.T, f Fixture) {
	o := own(t, f, 2)
	first := o.batch(0, 1)
	o.write(first, o.batchOf(events.Withdrawn, 0))
	withdrawn := o.kept[o.log.Subjects[0]]
	require.Equal(t, withdrawn, o.view(0).State)

	late := first
	late.From, late.To = 3, 4 // an old state at a new position
	require.Equal(t, 2, o.write(late)[0].Skipped)
	require.Equal(t, withdrawn, o.view(0).State)

	o.begin(0) // somebody replays, with what was stored before anything
	first.Epoch = o.mark.Epoch
	require.Equal(t, 2, o.write(first)[0].Skipped)
	require.Equal(t, withdrawn, o.view(0).State)
	o.holdsKept()
}

func repeatedBatchIsHarmless(t *testing.T, f Fixture) {
	o := own(t, f, 3)
	b := o.batch(0, 1, 2)
	once := o.write(b)[0]
	again := o.write(b)[0] // as after a reply that was lost
	require.Equal(t, once.Mark, again.Mark)
	o.holdsKept()
	o.write(o.batch(2))
	o.refused(b, cache.ErrMoved)
}

// large is more than two chunks, of either size.
const large = 1203

func largeBatchIsWhole(t *testing.T, f Fixture) {
	for _, wide := range []bool{false, true} {
		f.Flush()
		o := own(t, f, large)
		everybody := make([]int, large)
		for i := range everybody {
			everybody[i] = i
		}
		b := o.batch(everybody...)
		b.Wide = wide
		for i := range b.Changes {
			b.Changes[i].Act = i%2 == 0
		}
		o.write(b)
		require.Equal(t, int64(large), o.mark.Next)
		o.holdsKept()
		waiting, err := f.Store.Pending(t.Context(), partition, 2*large)
		require.NoError(t, err)
		require.Len(t, waiting, (large+1)/2)
		require.Equal(t, int64(0), o.mark.Acted)
	}
}

func outdatedIsRefused(t *testing.T, f Fixture) {
	o := own(t, f, 1)
	s := o.log.Subjects[0]
	o.write(o.batch(0))
	o.write(o.batchOf(events.Withdrawn, 0))
	newest := o.kept[s]

	o.begin(1)
	delete(o.kept, s)
	o.log.Append(events.Granted, 0, "surveys")
	wrong := o.log.Batch(o.kept, o.mark.Epoch, 2, 3) // folded from nothing, though something is stored
	wrong.From = 1
	o.refused(wrong, cache.ErrOutdated)
	require.Equal(t, newest, o.view(0).State)
	require.Equal(t, int64(1), o.view(0).Next)
}

func batchesAreIndependent(t *testing.T, f Fixture) {
	marks := make([]cache.Mark, 3)
	logs := make([]*Log, 3)
	batches := make([]cache.Batch, 3)
	for p := range logs {
		mark, err := f.Store.Claim(t.Context(), int32(p))
		require.NoError(t, err)
		marks[p], err = f.Store.Begin(t.Context(), int32(p), mark.Epoch, 0)
		require.NoError(t, err)
		logs[p] = NewLog(Layout(), int32(p), 300)
		for i := range logs[p].Subjects {
			logs[p].Append(events.Granted, i, "promotion")
		}
		batches[p] = logs[p].Batch(map[events.Subject]events.State{}, marks[p].Epoch, 0, 300)
	}
	batches[1].From, batches[1].To = 7, 307
	results := f.Store.Write(t.Context(), batches)
	require.NoError(t, results[0].Err)
	require.ErrorIs(t, results[1].Err, cache.ErrMoved)
	require.NoError(t, results[2].Err)
	require.Equal(t, int64(300), results[2].Mark.Next)
	require.Empty(t, f.Store.Write(t.Context(), nil))
}

func impossibleIsRefused(t *testing.T, f Fixture) {
	o := own(t, f, 2)
	good := o.batch(0)
	before := o.view(0)
	for name, spoil := range map[string]func(b *cache.Batch){
		"a partition that is not there": func(b *cache.Batch) { b.Partition = 4 },
		"a range that ends before it":   func(b *cache.Batch) { b.To = -1 },
		"no new state":                  func(b *cache.Batch) { b.Changes = []cache.Change{{Subject: o.log.Subjects[0]}} },
		"a state of later":              func(b *cache.Batch) { b.To = b.From },
		"a state that is not newer": func(b *cache.Batch) {
			b.Changes = []cache.Change{{Subject: o.log.Subjects[0], Prev: good.Changes[0].State, State: good.Changes[0].State}}
		},
		"a state of another partition": func(b *cache.Batch) {
			other := NewLog(Layout(), 2, 1)
			other.Append(events.Granted, 0, "promotion")
			b.Changes = other.Fold(map[events.Subject]events.State{}, 0, 1)
		},
	} {
		bad := good
		spoil(&bad)
		result := f.Store.Write(t.Context(), []cache.Batch{bad})[0]
		require.Error(t, result.Err, name)
		require.NotContains(t, result.Err.Error(), o.log.Subjects[0].Reveal())
		after := o.view(0)
		before.Now = after.Now
		require.Equal(t, before, after, name)
	}
	_, err := f.Store.Claim(t.Context(), 4)
	require.Error(t, err)
}

func oldOwnerIsFenced(t *testing.T, f Fixture) {
	o := own(t, f, 1)
	zombie := o.mark.Epoch
	late := o.batch(0)
	o.claim()
	require.Greater(t, o.mark.Epoch, zombie)
	require.True(t, o.mark.Known)

	o.refused(late, cache.ErrFenced)
	proof := cache.Proof{Partition: partition, Epoch: zombie, Next: 0, Proved: now()}
	require.ErrorIs(t, f.Store.Refresh(t.Context(), []cache.Proof{proof})[0].Err, cache.ErrFenced)
	_, err := f.Store.Done(t.Context(), partition, zombie, nil)
	require.ErrorIs(t, err, cache.ErrFenced)
	_, err = f.Store.Begin(t.Context(), partition, zombie, 0)
	require.ErrorIs(t, err, cache.ErrFenced)
	v := o.view(0)
	require.True(t, v.Known && v.State.IsZero() && v.Fresh == 0)
}

func flushIsSeen(t *testing.T, f Fixture) {
	o := own(t, f, 1)
	o.write(o.batch(0))
	require.NoError(t, o.refresh(1, now()).Err)
	f.Flush()

	v := o.view(0)
	require.False(t, v.Known || v.Fresh != 0 || !v.State.IsZero())
	moved := o.refused(o.batch(0), cache.ErrMoved)
	require.False(t, moved.Mark.Known)
	require.ErrorIs(t, o.refresh(1, now()).Err, cache.ErrMoved)

	zombie := o.mark.Epoch
	o.claim()
	require.False(t, o.mark.Known)
	require.Greater(t, o.mark.Epoch, zombie, "an epoch never comes twice")
	o.begin(0)
	clear(o.kept)
	o.write(o.log.Batch(o.kept, o.mark.Epoch, 0, 2))
	o.holdsKept()
}

func replayChangesNothing(t *testing.T, f Fixture) {
	o := own(t, f, 5)
	o.write(o.batch(0, 1, 2), o.batchOf(events.Withdrawn, 0, 3), o.batch(0, 4))
	o.done(o.pending()...)
	before := o.mark
	for _, from := range []int64{0, 2, 4} {
		o.begin(from)
		require.Equal(t, before.Digest, o.mark.Digest)
		states, err := o.store.Load(t.Context(), partition, o.log.Subjects)
		require.NoError(t, err)
		stored := map[events.Subject]events.State{}
		for i, s := range o.log.Subjects {
			stored[s] = states[i]
		}
		again := o.log.Batch(stored, o.mark.Epoch, from, int64(len(o.log.Events)))
		require.Empty(t, again.Changes)
		o.write(again)
		o.holdsKept()
		require.Empty(t, o.pending())
	}
}

func digestIsExact(t *testing.T, f Fixture) {
	o := own(t, f, 40)
	for i := range 40 {
		o.write(o.batch(i, (i*7)%40, (i*3)%40))
		o.holdsKept()
	}
	counted := o.mark.Digest
	o.begin(o.mark.Next) // works it out anew
	require.Equal(t, counted, o.mark.Digest)
}

// The stage of the log is known by whoever takes over, as of the position: what is
// behind a barrier does not count for any owner.
func stageMoves(t *testing.T, f Fixture) {
	o := own(t, f, 1)
	require.Equal(t, events.StageOpen, o.mark.Stage)
	for _, stage := range []events.Stage{events.StageOpening, events.StageOpen, events.StageEnded} {
		b := o.batch(0)
		b.Stage = stage
		require.Equal(t, stage, o.write(b)[0].Mark.Stage)
		o.claim()
		require.Equal(t, stage, o.mark.Stage)
		require.Equal(t, stage, o.view(0).Stage)
		fresh := f.Store.Refresh(t.Context(), []cache.Proof{{Partition: partition, Epoch: o.mark.Epoch, Next: o.mark.Next}})
		require.Equal(t, stage, fresh[0].Mark.Stage)
	}
	o.begin(0)
	require.Equal(t, events.StageOpen, o.mark.Stage, "read anew, the log says it again")
}
