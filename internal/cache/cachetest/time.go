package cachetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

func now() time.Time { return time.Now() }

func freshnessIsABound(t *testing.T, f Fixture) {
	o := own(t, f, 1)
	require.Zero(t, o.mark.Fresh)

	proved := now()
	b := o.batch(0)
	b.Proved = proved
	o.write(b)
	v := o.view(0)
	require.Equal(t, o.mark.Fresh, v.Fresh)
	require.Positive(t, v.Fresh)
	age := time.Duration(v.Now-v.Fresh) * time.Millisecond
	require.GreaterOrEqual(t, age, time.Duration(0))
	require.GreaterOrEqual(t, age, time.Since(proved)-time.Second, "no fresher than its proof")

	fresh := v.Fresh
	require.NoError(t, o.refresh(1, proved.Add(-time.Hour)).Err)
	require.Equal(t, fresh, o.view(0).Fresh, "an older proof changes nothing")

	require.NoError(t, o.refresh(1, now().Add(time.Hour)).Err)
	v = o.view(0)
	require.LessOrEqual(t, v.Fresh, v.Now, "a proof from the future is one of now")
	require.GreaterOrEqual(t, v.Fresh, fresh)
}

func freshnessNeedsProof(t *testing.T, f Fixture) {
	o := own(t, f, 1)
	o.write(o.batch(0))
	require.Zero(t, o.mark.Fresh, "applied, but nobody knows what came after")
	require.ErrorIs(t, o.refresh(0, now()).Err, cache.ErrMoved)
	require.ErrorIs(t, o.refresh(2, now()).Err, cache.ErrMoved)
	require.Zero(t, o.view(0).Fresh)
	proved := o.refresh(1, now())
	require.NoError(t, proved.Err)
	require.Positive(t, proved.Mark.Fresh)

	o.write(o.batch(0))
	require.Equal(t, proved.Mark.Fresh, o.mark.Fresh, "what was known stays known")
	o.begin(0)
	require.Zero(t, o.view(0).Fresh, "from the start again")
}

func receiptsOnlyCoverMore(t *testing.T, f Fixture) {
	o := own(t, f, 1)
	b := o.batch(0)
	b.Receipted = 1
	o.write(b)
	require.Equal(t, int64(1), o.mark.Receipted)
	o.write(o.batch(0))
	require.Equal(t, int64(1), o.mark.Receipted, "zero says nothing")
	for _, covered := range []int64{2, 1} {
		p := cache.Proof{Partition: partition, Epoch: o.mark.Epoch, Next: 2, Receipted: covered}
		result := f.Store.Refresh(t.Context(), []cache.Proof{p})[0]
		require.NoError(t, result.Err)
		require.Equal(t, int64(2), result.Mark.Receipted)
		require.Zero(t, result.Mark.Fresh, "a receipt proves nothing about the log")
	}
	o.claim()
	require.Equal(t, int64(2), o.mark.Receipted)
}

func lookupSees(t *testing.T, f Fixture) {
	o := own(t, f, 2)
	o.write(o.batch(0))
	v := o.view(0)
	require.Equal(t, o.kept[o.log.Subjects[0]], v.State)
	require.Equal(t, events.Version{Generation: 1, Partition: partition, Offset: 0},
		events.Version{Generation: v.Generation, Partition: v.Partition, Offset: v.Next - 1})
	require.True(t, v.Known && !v.Held)
	require.Positive(t, v.Now)
	require.True(t, o.view(1).State.IsZero())
}
