package cache_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
)

const partition = 1

// owner is a consumer that owns one partition.
type owner struct {
	t      testing.TB
	store  cache.Store
	log    *cachetest.Log
	states map[events.Subject]events.State // as of mark.Next
	mark   cache.Mark
}

// own claims the partition, and begins it if it is unknown.
func own(t testing.TB, store cache.Store, subjects int) *owner {
	o := &owner{t: t, store: store, log: cachetest.NewLog(cachetest.Layout(), partition, subjects)}
	o.claim()
	return o
}

func (o *owner) claim() {
	var err error
	o.mark, err = o.store.Claim(o.t.Context(), partition)
	require.NoError(o.t, err)
	if !o.mark.Known {
		o.begin(0)
	}
	o.load()
}

func (o *owner) begin(at int64) {
	var err error
	o.mark, err = o.store.Begin(o.t.Context(), partition, o.mark.Epoch, at)
	require.NoError(o.t, err)
	o.load()
}

// load takes over what is stored.
func (o *owner) load() {
	states, err := o.store.Load(o.t.Context(), partition, o.log.Subjects)
	require.NoError(o.t, err)
	o.states = make(map[events.Subject]events.State)
	for i, s := range o.log.Subjects {
		o.states[s] = states[i]
	}
}

// grow appends one event of each subject.
func (o *owner) grow(kind events.Type) {
	for i := range o.log.Subjects {
		o.log.Append(kind, i, "promotion", "research")
	}
}

// batch folds everything that is not applied yet.
func (o *owner) batch() cache.Batch {
	return o.log.Batch(o.states, o.mark.Epoch, o.mark.Next, int64(len(o.log.Events)))
}

func (o *owner) write(b cache.Batch) cache.Result {
	result := o.store.Write(o.t.Context(), []cache.Batch{b})[0]
	if result.Err == nil {
		o.mark = result.Mark
	}
	return result
}

// catchUp applies the whole log.
func (o *owner) catchUp() {
	o.t.Helper()
	require.NoError(o.t, o.write(o.batch()).Err)
}

// isTheFold checks that what is stored is the fold of the whole log, and the
// digest that of what is stored.
func (o *owner) isTheFold() {
	o.t.Helper()
	want := make(map[events.Subject]events.State)
	o.log.Fold(want, 0, int64(len(o.log.Events)))
	states, err := o.store.Load(o.t.Context(), partition, o.log.Subjects)
	require.NoError(o.t, err)
	var digest cache.Digest
	for i, s := range o.log.Subjects {
		require.Equal(o.t, want[s], states[i], "subject %d", i)
		digest = digest.Swap(s, events.State{}, states[i])
	}
	require.Equal(o.t, digest, o.mark.Digest)
	require.Equal(o.t, int64(len(o.log.Events)), o.mark.Next)
}
