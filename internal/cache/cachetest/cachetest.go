// Package cachetest holds what every cache.Store promises, as one suite that the
// store in memory, the embedded Redis and a real one run alike.
package cachetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

// Fixture is a store to try, empty, laid out by [Layout].
type Fixture struct {
	Store cache.Store
	Flush func() // deletes everything behind the store's back
	Close func() // ends what was opened for it
}

// Open opens a store that is empty.
type Open func(ctx context.Context) (Fixture, error)

// Run tries everything that a store promises.
func Run(t *testing.T, open Open) {
	for _, promise := range []struct {
		name string
		test func(t *testing.T, f Fixture)
	}{
		{"NewPartitionIsUnknownUntilBegun", newPartitionIsUnknown},
		{"PositionMovesOnlyFromTheExactPrevious", positionIsExact},
		{"StateNeverGoesBack", stateNeverGoesBack},
		{"RepeatedBatchIsHarmless", repeatedBatchIsHarmless},
		{"LargeBatchIsWhole", largeBatchIsWhole},
		{"StateFoldedFromAnotherIsRefused", outdatedIsRefused},
		{"BatchesSucceedOrFailAlone", batchesAreIndependent},
		{"ImpossibleBatchIsRefused", impossibleIsRefused},
		{"TakenOverPartitionFencesItsOldOwner", oldOwnerIsFenced},
		{"FreshnessIsNeverAheadAndNeverGoesBack", freshnessIsABound},
		{"FreshnessNeedsAProofAtTheRightPosition", freshnessNeedsProof},
		{"NothingProvesATorsoFresh", nothingProvesATorso},
		{"StageMovesWithThePosition", stageMoves},
		{"ReceiptsOnlyCoverMore", receiptsOnlyCoverMore},
		{"OutboxKeepsWhatWasNotDone", outboxKeeps},
		{"OutboxKeepsWhatChangedSince", outboxKeepsNewer},
		{"OutboxKeepsTheFirstOfSeveralChanges", outboxKeepsFirst},
		{"FlushIsSeen", flushIsSeen},
		{"ReplayChangesNothing", replayChangesNothing},
		{"HoldStaysUntilReleasedForGood", holdStays},
		{"HoldsOfABatchComeWithItsMove", holdsOfABatch},
		{"TooManyHoldsStayHeld", tooManyHolds},
		{"DigestIsThatOfTheStoredStates", digestIsExact},
		{"LookupSeesWhatWasWritten", lookupSees},
		{"PolicyIsThatOfTheFreshness", policyIsOfTheFreshness},
		{"PoliciesNeverGoBack", policiesNeverGoBack},
		{"WhatIsOwedWaitsUntilActedOn", owedWaits},
		{"SweepIsRememberedByTheOwnerAlone", sweepIsRemembered},
		{"StatesAreFoundBucketByBucket", statesByBucket},
	} {
		t.Run(promise.name, func(t *testing.T) {
			f, err := open(t.Context())
			require.NoError(t, err)
			defer f.Close()
			promise.test(t, f)
		})
	}
	t.Run("AgreesWithMemoryOnAnyHistory", func(t *testing.T) { agree(t.Context(), t, open) })
}

// owner is a consumer that owns partition 1 of a store.
type owner struct {
	t     *testing.T
	store cache.Store
	log   *Log
	kept  map[events.Subject]events.State
	mark  cache.Mark
}

const partition = 1

// own claims and begins the partition.
func own(t *testing.T, f Fixture, subjects int) *owner {
	o := &owner{t: t, store: f.Store, log: NewLog(Layout(), partition, subjects), kept: map[events.Subject]events.State{}}
	o.claim()
	o.begin(0)
	return o
}

func (o *owner) claim() {
	var err error
	o.mark, err = o.store.Claim(o.ctx(), partition)
	require.NoError(o.t, err)
}

func (o *owner) begin(at int64) {
	var err error
	o.mark, err = o.store.Begin(o.ctx(), partition, o.mark.Epoch, at)
	require.NoError(o.t, err)
}

func (o *owner) ctx() context.Context { return o.t.Context() }

// batch appends one grant per named subject and folds them.
func (o *owner) batch(subjects ...int) cache.Batch {
	return o.batchOf(events.Granted, subjects...)
}

func (o *owner) batchOf(kind events.Type, subjects ...int) cache.Batch {
	from := int64(len(o.log.Events))
	for _, i := range subjects {
		o.log.Append(kind, i, "promotion", "research")
	}
	return o.log.Batch(o.kept, o.mark.Epoch, from, int64(len(o.log.Events)))
}

// write writes batches that must succeed.
func (o *owner) write(batches ...cache.Batch) []cache.Result {
	results := o.store.Write(o.ctx(), batches)
	for i := range results {
		require.NoError(o.t, results[i].Err)
		o.mark = results[i].Mark
	}
	return results
}

// refused writes one batch that must fail.
func (o *owner) refused(b cache.Batch, kind error) cache.Result {
	result := o.store.Write(o.ctx(), []cache.Batch{b})[0]
	require.ErrorIs(o.t, result.Err, kind)
	return result
}

// holdsKept checks that the store holds what the owner folded.
func (o *owner) holdsKept() {
	o.t.Helper()
	states, err := o.store.Load(o.ctx(), partition, o.log.Subjects)
	require.NoError(o.t, err)
	var digest cache.Digest
	for i, s := range o.log.Subjects {
		require.Equal(o.t, o.kept[s], states[i], "subject %d", i)
		digest = digest.Swap(s, events.State{}, states[i])
	}
	require.Equal(o.t, digest, o.mark.Digest)
}

func (o *owner) view(subject int) cache.View {
	v, err := o.store.Lookup(o.ctx(), o.log.Subjects[subject])
	require.NoError(o.t, err)
	return v
}

func (o *owner) pending() []cache.Pending {
	waiting, err := o.store.Pending(o.ctx(), partition, 1000)
	require.NoError(o.t, err)
	return waiting
}

func (o *owner) done(acted ...cache.Pending) int64 {
	position, err := o.store.Done(o.ctx(), partition, o.mark.Epoch, acted)
	require.NoError(o.t, err)
	return position
}

// refresh proves the partition fresh as of a moment.
func (o *owner) refresh(next int64, proved time.Time) cache.Result {
	p := cache.Proof{Partition: partition, Epoch: o.mark.Epoch, Next: next, Proved: proved}
	return o.store.Refresh(o.ctx(), []cache.Proof{p})[0]
}
