package cekafka

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// TestSlowCommitIsFollowedByOneOfAllThatBecameFree: never by a lower one, and
// not by one for each.
func TestSlowCommitIsFollowedByOneOfAllThatBecameFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow()
		first, second, third := w.add(0), w.add(1), w.add(2)
		brokers := make(chan struct{})
		var committed []int64
		commit := func(offset int64) error {
			<-brokers
			committed = append(committed, offset)
			return nil
		}
		go func() { _ = w.done(first, commit) }()
		synctest.Wait()
		go func() { _ = w.done(second, commit) }()
		synctest.Wait()
		go func() { _ = w.done(third, commit) }()
		synctest.Wait()
		require.True(t, w.follows(3), "records are received meanwhile")
		close(brokers)
		synctest.Wait()
		require.Equal(t, []int64{0, 2}, committed)
	})
}

// TestWindowKeepsWhatIsNotDone and not what passed by: behind a message that
// was refused a partition may run on for days.
func TestWindowKeepsWhatIsNotDone(t *testing.T) {
	w := newWindow()
	w.add(0) // never acknowledged
	for offset := range int64(10_000) {
		require.NoError(t, w.done(w.add(offset+1), nil))
	}
	require.Equal(t, 2, w.entries.Len())
}
