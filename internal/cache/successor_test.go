package cache_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
	"github.com/kelisim/kelisim/internal/testenv"
)

// A reader that knows the old layout sees the old whole until it is retired, and
// then nothing, until it learns of the new one.
func TestSuccessorTakesTheRecordedPlaceAtOneMoment(t *testing.T) {
	client := testenv.Redis(t).Client(t)
	live := cachetest.Layout()
	next := live
	next.Topic, next.Generation, next.Partitions = "consent.events.v1.g2", 2, 7
	store, err := cache.NewRedis(t.Context(), client, live, nil)
	require.NoError(t, err)
	old := own(t, store, 3)
	old.grow(events.Granted)
	old.catchUp()
	subject := old.log.Subjects[0]
	reader := cache.NewReader(client, live.Service)
	before, err := reader.Lookup(t.Context(), subject)
	require.NoError(t, err)
	require.False(t, before.State.IsZero())

	early, err := cache.NewRedis(t.Context(), client, next, nil)
	require.NoError(t, err)
	_, err = early.Claim(t.Context(), 0)
	require.ErrorIs(t, err, cache.ErrLayout, "a service that is configured too early does not run")

	require.NoError(t, cache.Agree(t.Context(), client, live))
	require.ErrorIs(t, cache.Agree(t.Context(), client, next), cache.ErrLayout, "nor is it started")

	s, err := cache.OpenSuccessor(t.Context(), client, live, next)
	require.NoError(t, err)
	mark, err := s.Claim(t.Context(), 3)
	require.NoError(t, err)
	_, err = s.Begin(t.Context(), 3, mark.Epoch, 0)
	require.NoError(t, err)
	require.ErrorIs(t, s.Retire(t.Context()), cache.ErrLayout, "what is recorded is not retired")

	proofs := []cache.Proof{{Partition: partition, Epoch: old.mark.Epoch, Next: old.mark.Next, Proved: time.Now()}}
	batch := cache.Batch{Partition: partition, Epoch: old.mark.Epoch, From: old.mark.Next, To: old.mark.Next + 1}
	refused := func(why string) {
		t.Helper()
		require.ErrorIs(t, store.Refresh(t.Context(), proofs)[0].Err, cache.ErrLayout, why)
		require.ErrorIs(t, store.Write(t.Context(), []cache.Batch{batch})[0].Err, cache.ErrLayout, why)
		_, err := store.Begin(t.Context(), partition, old.mark.Epoch, 0)
		require.ErrorIs(t, err, cache.ErrLayout, why)
		_, err = store.Claim(t.Context(), partition)
		require.ErrorIs(t, err, cache.ErrLayout, why)
	}
	for range 2 { // to do it again changes nothing
		require.NoError(t, s.Fence(t.Context()))
		refused("its owner is fenced, and nobody takes its place")
	}
	still, err := reader.Lookup(t.Context(), subject)
	require.NoError(t, err)
	require.Equal(t, before.State, still.State)
	require.Equal(t, before.Fresh, still.Fresh, "guards are answered as before")
	retired, err := s.Retired(t.Context())
	require.NoError(t, err)
	require.False(t, retired)

	require.NoError(t, s.Unfence(t.Context()))
	require.NoError(t, store.Refresh(t.Context(), proofs)[0].Err, "its owner goes on")
	require.NoError(t, s.Fence(t.Context()))

	for range 2 { // to do it again changes nothing
		require.NoError(t, s.Adopt(t.Context()))
		adopted, err := s.Adopted(t.Context())
		require.NoError(t, err)
		require.True(t, adopted)
	}
	seen, err := reader.Lookup(t.Context(), subject)
	require.NoError(t, err)
	require.Equal(t, before.State, seen.State)
	require.True(t, seen.Known)
	_, err = store.Claim(t.Context(), 2)
	require.ErrorIs(t, err, cache.ErrLayout, "nobody begins with the old generation any more")
	require.ErrorIs(t, cache.Agree(t.Context(), client, live), cache.ErrLayout)

	for range 2 {
		require.NoError(t, s.Retire(t.Context()))
		retired, err := s.Retired(t.Context())
		require.NoError(t, err)
		require.True(t, retired)
	}
	seen, err = reader.Lookup(t.Context(), subject)
	require.NoError(t, err)
	require.False(t, seen.Known)
	require.Zero(t, seen.Fresh)
	refused("it proves nothing any more")

	require.NoError(t, s.Unfence(t.Context()))
	refused("what is retired stays so")

	changed, err := reader.Relearn(t.Context())
	require.NoError(t, err)
	require.True(t, changed)
	seen, err = reader.Lookup(t.Context(), subject)
	require.NoError(t, err)
	require.Equal(t, uint32(2), seen.Generation)
	_, err = early.Claim(t.Context(), 3)
	require.NoError(t, err, "its service goes on")
}

func TestOnlyALaterGenerationSucceedsTheRecordedOne(t *testing.T) {
	client := testenv.Redis(t).Client(t)
	live := cachetest.Layout()
	next := live
	next.Generation = 2
	_, err := cache.OpenSuccessor(t.Context(), client, live, next)
	require.ErrorIs(t, err, cache.ErrNoLayout)
	require.NoError(t, cache.Agree(t.Context(), client, live), "the first one records it")
	store, err := cache.NewRedis(t.Context(), client, live, nil)
	require.NoError(t, err)
	own(t, store, 1)
	_, err = cache.OpenSuccessor(t.Context(), client, live, live)
	require.ErrorIs(t, err, cache.ErrLayout)
	other := live
	other.Partitions++
	_, err = cache.OpenSuccessor(t.Context(), client, other, next)
	require.ErrorIs(t, err, cache.ErrLayout)
}

// Neither a repair of single states nor a rebuild changes what another generation is
// about to take the place of: the digests of both were compared before.
func TestRepairsRefuseWhatIsFenced(t *testing.T) {
	client := testenv.Redis(t).Client(t)
	layout := cachetest.Layout()
	store, err := cache.NewRedis(t.Context(), client, layout, nil)
	require.NoError(t, err)
	live := own(t, store, 3)
	live.grow(events.Granted)
	live.catchUp()
	beside, err := cache.OpenStaging(t.Context(), client, layout)
	require.NoError(t, err)
	staged := own(t, beside, 3)
	staged.grow(events.Granted)
	require.NoError(t, staged.write(staged.batch()).Err)
	mender, err := cache.OpenMender(t.Context(), client, layout.Service, nil)
	require.NoError(t, err)
	lost := live.log.Subjects[0]
	mends := []cache.Mend{{Subject: lost, Stored: "another", Right: live.states[lost]}}
	next := layout
	next.Topic, next.Generation, next.Partitions = "consent.events.v1.g2", 2, 7
	s, err := cache.OpenSuccessor(t.Context(), client, layout, next)
	require.NoError(t, err)

	require.NoError(t, s.Fence(t.Context()))
	_, err = mender.Mend(t.Context(), partition, 0, live.mark.Next, mends)
	require.ErrorIs(t, err, cache.ErrMoved)
	done, err := mender.Redigest(t.Context(), partition)
	require.NoError(t, err)
	require.False(t, done)
	require.ErrorIs(t, beside.Swap(t.Context(), partition, staged.mark.Epoch, live.mark.Next), cache.ErrNothingStaged)

	require.NoError(t, s.Unfence(t.Context()))
	_, err = mender.Mend(t.Context(), partition, 0, live.mark.Next, mends)
	require.NoError(t, err)
	done, err = mender.Redigest(t.Context(), partition)
	require.NoError(t, err)
	require.True(t, done)
	require.NoError(t, beside.Swap(t.Context(), partition, staged.mark.Epoch, live.mark.Next))
}
