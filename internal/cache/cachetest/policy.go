package cachetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

func policyIsOfTheFreshness(t *testing.T, f Fixture) {
	o := own(t, f, 2)
	require.Empty(t, o.view(0).Policy)
	b := o.batch(0)
	b.Policy = "first"
	o.write(b)
	require.Equal(t, "first", o.view(0).Policy)

	idle := cache.Batch{Partition: partition, Epoch: o.mark.Epoch, From: o.mark.Next, To: o.mark.Next, Proved: time.Now(), Policy: "second"}
	o.write(idle)
	require.Equal(t, "second", o.view(0).Policy, "an idle partition learns of it too")
	late := idle
	late.From, late.To, late.Policy = 0, 0, "first"
	o.refused(late, cache.ErrMoved)
	require.Equal(t, "second", o.view(0).Policy)

	proof := cache.Proof{Partition: partition, Epoch: o.mark.Epoch, Next: o.mark.Next, Proved: time.Now(), Policy: "third"}
	require.NoError(t, o.store.Refresh(t.Context(), []cache.Proof{proof})[0].Err)
	require.Equal(t, "third", o.view(0).Policy)
}

func policiesNeverGoBack(t *testing.T, f Fixture) {
	read := func() cache.Policies {
		p, err := f.Store.Policies(t.Context())
		require.NoError(t, err)
		return p
	}
	require.Zero(t, read())
	one := cache.Policies{Revision: "r1", Grown: []string{"r0"}, Catalogues: "[1]"}
	two := cache.Policies{Revision: "r2", Grown: []string{"r0", "r1"}, Catalogues: "[1,2]"}
	for _, p := range []cache.Policies{one, two, one, two, {Revision: "r0", Catalogues: "[]"}} {
		require.NoError(t, f.Store.Publish(t.Context(), p))
	}
	require.Equal(t, two, read(), "a consumer that is behind undid it")
	require.True(t, two.Knows("r1"))
	require.False(t, two.Knows("r3"))
	require.False(t, two.Knows(""))

	other := cache.Policies{Revision: "x", Grown: []string{"r0"}, Catalogues: "[3]"}
	require.NoError(t, f.Store.Publish(t.Context(), other))
	require.Equal(t, other, read(), "a topic that was made anew")
	f.Flush()
	require.Zero(t, read())
	require.NoError(t, f.Store.Publish(t.Context(), two))
	require.Equal(t, two, read())
}

func owedWaits(t *testing.T, f Fixture) {
	const many = 450 // more than one script takes
	o := own(t, f, many)
	all := make([]int, many)
	for i := range all {
		all[i] = i
	}
	b := o.batch(all...)
	for i := range b.Changes {
		b.Changes[i].Act = i == 0
	}
	o.write(b)
	require.Len(t, o.pending(), 1)
	states, more, err := f.Store.States(t.Context(), partition, 0, Layout().Buckets)
	require.NoError(t, err)
	require.False(t, more)
	require.Len(t, states, many)
	for range 2 { // harmless when repeated
		require.NoError(t, f.Store.Owe(t.Context(), partition, o.mark.Epoch, states, cache.Sweep{Mark: "r1/1"}))
	}
	waiting := o.pending()
	require.Len(t, waiting, many)
	for _, p := range waiting {
		require.Equal(t, o.kept[p.Subject], p.State)
		version, _ := p.State.Version()
		require.Equal(t, version.Offset, p.Offset, "an action counts for changes from here on")
	}
	require.Equal(t, int64(many), o.done(waiting...))
	require.Empty(t, o.pending())
}

func sweepIsRemembered(t *testing.T, f Fixture) {
	o := own(t, f, 1)
	swept := func() cache.Sweep {
		s, err := f.Store.Swept(t.Context(), partition)
		require.NoError(t, err)
		return s
	}
	require.Zero(t, swept())
	open := cache.Sweep{Mark: "0123456789abcdef/2026-11", Open: true, Bucket: 48}
	require.NoError(t, f.Store.Owe(t.Context(), partition, o.mark.Epoch, nil, open))
	require.Equal(t, open, swept())
	before := o.mark.Epoch
	o.claim()
	require.Equal(t, open, swept(), "the next owner goes on")
	closed := cache.Sweep{Mark: open.Mark}
	require.ErrorIs(t, f.Store.Owe(t.Context(), partition, before, nil, closed), cache.ErrFenced)
	require.NoError(t, f.Store.Owe(t.Context(), partition, o.mark.Epoch, nil, closed))
	require.Equal(t, closed, swept())
	f.Flush()
	require.ErrorIs(t, f.Store.Owe(t.Context(), partition, o.mark.Epoch, nil, closed), cache.ErrMoved)
	require.Zero(t, swept())
}

func statesByBucket(t *testing.T, f Fixture) {
	o := own(t, f, 60)
	all := make([]int, 60)
	for i := range all {
		all[i] = i
	}
	o.write(o.batch(all...))
	found := make(map[events.Subject]events.State)
	for first := int32(0); first < Layout().Buckets; first += 3 {
		states, more, err := f.Store.States(t.Context(), partition, first, 3)
		require.NoError(t, err)
		require.Equal(t, first+3 < Layout().Buckets, more)
		for _, s := range states {
			require.NotContains(t, found, s.Subject, "in one bucket only")
			found[s.Subject] = s.State
		}
	}
	require.Equal(t, o.kept, found)
	states, _, err := f.Store.States(t.Context(), partition, Layout().Buckets, 3)
	require.NoError(t, err)
	require.Empty(t, states)
}
