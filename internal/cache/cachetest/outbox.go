package cachetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

func outboxKeeps(t *testing.T, f Fixture) {
	o := own(t, f, 3)
	b := o.batch(0, 1, 2)
	b.Changes[2].Act = false
	o.write(b)
	require.Equal(t, int64(0), o.mark.Acted)
	waiting := o.pending()
	require.Equal(t, []cache.Pending{
		{Subject: o.log.Subjects[0], State: o.kept[o.log.Subjects[0]], Offset: 0},
		{Subject: o.log.Subjects[1], State: o.kept[o.log.Subjects[1]], Offset: 1},
	}, waiting)

	o.claim() // the consumer died between writing and acting; another one goes on
	require.Equal(t, waiting, o.pending())
	require.Equal(t, int64(1), o.done(waiting[0]))
	require.Equal(t, waiting[1:], o.pending())
	o.claim() // and again, between acting and saying so
	require.Equal(t, int64(1), o.done(waiting[0]), "what was done can be done again")
	require.Equal(t, int64(3), o.done(o.pending()...))
	require.Empty(t, o.pending())

	first, err := f.Store.Pending(t.Context(), partition, 0)
	require.NoError(t, err)
	require.Empty(t, first)
}

// A batch that covers several events of a subject waits for an action from the
// first of them on.
func outboxKeepsFirst(t *testing.T, f Fixture) {
	o := own(t, f, 3)
	o.write(o.batch(0))
	require.Equal(t, int64(1), o.done(o.pending()...))
	b := o.batch(1, 2)
	b.Changes[1].Older = 1
	o.write(b)
	require.Equal(t, int64(1), o.done(o.pending()[0]), "the other's first change stands there too")
	require.Equal(t, int64(3), o.done(o.pending()...))
}

func outboxKeepsNewer(t *testing.T, f Fixture) {
	o := own(t, f, 2)
	o.write(o.batch(0, 1))
	waiting := o.pending()
	o.write(o.batchOf(events.Withdrawn, 0)) // while the action for the grant runs
	require.Equal(t, int64(0), o.done(waiting...))
	require.Equal(t, []cache.Pending{
		{Subject: o.log.Subjects[0], State: o.kept[o.log.Subjects[0]], Offset: 0},
	}, o.pending(), "from the first change that nobody acted on for certain")
	require.Equal(t, int64(3), o.done(o.pending()...))
}

func holdStays(t *testing.T, f Fixture) {
	o := own(t, f, 2)
	s := o.log.Subjects[0]
	one, two := o.log.At(7), events.Position{Generation: 1, Partition: 3, Offset: 9}
	require.False(t, o.view(0).Held)
	for range 2 {
		require.NoError(t, f.Store.Hold(t.Context(), s, one))
	}
	require.NoError(t, f.Store.Hold(t.Context(), s, two))
	require.True(t, o.view(0).Held)
	require.False(t, o.view(1).Held)

	require.NoError(t, f.Store.Release(t.Context(), s, one))
	require.True(t, o.view(0).Held, "the other event still holds")
	require.NoError(t, f.Store.Release(t.Context(), s, two))
	require.False(t, o.view(0).Held)
	require.NoError(t, f.Store.Hold(t.Context(), s, one))
	require.False(t, o.view(0).Held, "a replay does not hold again what was released")

	early := o.log.At(11)
	require.NoError(t, f.Store.Release(t.Context(), o.log.Subjects[1], early))
	require.NoError(t, f.Store.Hold(t.Context(), o.log.Subjects[1], early))
	require.False(t, o.view(1).Held, "nor what was released before it was seen")
}

func holdsOfABatch(t *testing.T, f Fixture) {
	o := own(t, f, 3)
	b := o.batch(0)
	for offset := range int64(450) { // more than fits in one script
		b.Holds = append(b.Holds, cache.Hold{Subject: o.log.Subjects[1+offset%2], At: o.log.At(offset % 20)})
	}
	b.Holds = append(b.Holds, cache.Hold{At: o.log.At(1)}, // a record without a subject holds nobody
		cache.Hold{Subject: o.log.Subjects[0], At: o.log.At(0)},
		cache.Hold{Subject: o.log.Subjects[0], At: o.log.At(0), Release: true})
	stale := b
	stale.From, stale.To = 5, 6
	o.refused(stale, cache.ErrMoved)
	require.False(t, o.view(1).Held, "what does not move holds nobody")
	o.write(b)
	require.Equal(t, []bool{false, true, true}, []bool{o.view(0).Held, o.view(1).Held, o.view(2).Held})
}

func tooManyHolds(t *testing.T, f Fixture) {
	o := own(t, f, 1)
	s := o.log.Subjects[0]
	for offset := range int64(40) {
		require.NoError(t, f.Store.Hold(t.Context(), s, o.log.At(offset)))
	}
	for offset := range int64(40) {
		require.NoError(t, f.Store.Release(t.Context(), s, o.log.At(offset)))
	}
	require.True(t, o.view(0).Held, "some were not even counted")
	require.NoError(t, f.Store.Release(t.Context(), s, events.Position{}))
	require.False(t, o.view(0).Held)
}
