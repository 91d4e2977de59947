package stream

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// offsetsWritten is a group that notes when what was committed.
type offsetsWritten struct {
	mu     sync.Mutex
	writes []map[int]int64
	at     []time.Time
	fail   error
}

func (o *offsetsWritten) CommitOffsets(offsets map[string]map[int]int64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writes = append(o.writes, maps.Clone(offsets["t"]))
	o.at = append(o.at, time.Now())
	return o.fail
}

// commit runs a committer with an interval of one second inside a bubble.
func commit(t *testing.T, test func(c *committer, o *offsetsWritten, end func())) {
	synctest.Test(t, func(t *testing.T) {
		o := &offsetsWritten{}
		c := newCommitter(o, "t", time.Second, slog.New(slog.DiscardHandler), nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); c.run(ctx) }()
		test(c, o, func() { cancel(); <-done })
		cancel()
		<-done
	})
}

func TestOffsetsAreCommittedAtOnceAndThenOncePerInterval(t *testing.T) {
	commit(t, func(c *committer, o *offsetsWritten, end func()) {
		began := time.Now()
		for i := range int64(40) {
			c.add(map[int32]int64{0: i, 1: i})
			synctest.Wait()
			<-time.After(100 * time.Millisecond)
		}
		end()
		require.LessOrEqual(t, len(o.writes), 5)
		require.Equal(t, map[int]int64{0: 0, 1: 0}, o.writes[0])
		require.Equal(t, began, o.at[0], "the first one does not wait")
		require.Equal(t, map[int]int64{0: 39, 1: 39}, o.writes[len(o.writes)-1])
	})
}

func TestWhatIsPendingGoesOutAtTheEndOfTheGeneration(t *testing.T) {
	commit(t, func(c *committer, o *offsetsWritten, end func()) {
		c.add(map[int32]int64{0: 1})
		synctest.Wait()
		c.add(map[int32]int64{0: 2, 1: 9})
		synctest.Wait()
		require.Len(t, o.writes, 1)
		end()
		require.Equal(t, []map[int]int64{{0: 1}, {0: 2, 1: 9}}, o.writes)
	})
}

func TestOffsetThatTheGroupKnowsIsNotCommittedAgain(t *testing.T) {
	commit(t, func(c *committer, o *offsetsWritten, end func()) {
		for range 5 {
			c.add(map[int32]int64{0: 7})
			<-time.After(2 * time.Second)
		}
		c.add(map[int32]int64{0: 8})
		synctest.Wait()
		c.add(map[int32]int64{0: 7}) // back again, as after a Redis that lost writes
		end()
		require.Equal(t, []map[int]int64{{0: 7}, {0: 8}, {0: 7}}, o.writes)
	})
}

func TestFailedCommitIsPendingAgainUnlessNewerHasCome(t *testing.T) {
	commit(t, func(c *committer, o *offsetsWritten, end func()) {
		o.fail = errors.New("coordinator is away")
		c.add(map[int32]int64{0: 1, 1: 1})
		synctest.Wait()
		o.mu.Lock()
		o.fail = nil
		o.mu.Unlock()
		c.add(map[int32]int64{0: 2})
		end()
		require.Equal(t, []map[int]int64{{0: 1, 1: 1}, {0: 2, 1: 1}}, o.writes)
	})
}
