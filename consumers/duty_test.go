package consumers

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

// stoppedBatch is a batch that stops n subjects.
func stoppedBatch(t *testing.T, partition int32, n int, far bool) *batch {
	b := &batch{far: far, acts: n > 0, Batch: cache.Batch{Partition: partition, To: int64(n)}}
	for i := range n {
		s, err := events.ParseSubject("s-" + strconv.Itoa(i))
		require.NoError(t, err)
		b.Changes = append(b.Changes, cache.Change{Subject: s, Act: true})
	}
	return b
}

func TestManyWakesOfOnePartitionHideNoOther(t *testing.T) {
	d := newDuties()
	announced := func(partition int32) *batch {
		b := stoppedBatch(t, partition, 0, true)
		b.turned = true
		return b
	}
	for range 100 {
		d.add(announced(0), time.Now())
	}
	d.add(announced(2), time.Now())
	<-d.woken
	due, _ := d.take(time.Now())
	require.Len(t, due, 2)
	require.True(t, due[0].ask && due[2].ask)
	due, _ = d.take(time.Now())
	require.Empty(t, due)
}

func TestNearTheEndOfTheLogActionsFollowAtOnce(t *testing.T) {
	d := newDuties()
	d.add(stoppedBatch(t, 1, 3, false), time.Now())
	<-d.woken
	due, _ := d.take(time.Now())
	require.Len(t, due[1].turns, 3)
	require.Zero(t, d.turns)
}

func TestFarBehindActionsWaitButNoLongerThanPromised(t *testing.T) {
	d, now := newDuties(), time.Now()
	d.add(stoppedBatch(t, 1, 3, true), now)
	d.add(stoppedBatch(t, 1, 3, true), now.Add(time.Second))
	require.Empty(t, d.woken)
	due, wait := d.take(now.Add(2 * time.Second))
	require.Empty(t, due)
	require.Equal(t, actWithin-2*time.Second, wait)
	due, _ = d.take(now.Add(actWithin))
	require.Len(t, due[1].turns, 6)
}

func TestABatchNearTheEndEndsTheWaiting(t *testing.T) {
	d, now := newDuties(), time.Now()
	d.add(stoppedBatch(t, 1, 3, true), now)
	d.add(stoppedBatch(t, 1, 0, false), now)
	<-d.woken
	due, _ := d.take(now)
	require.Len(t, due[1].turns, 3)
}

func TestTurnsInMemoryAreBoundedAndNoneIsLost(t *testing.T) {
	d, now := newDuties(), time.Now()
	d.turns = maxTurns - 2
	d.add(stoppedBatch(t, 1, 3, true), now)
	require.Equal(t, maxTurns-2, d.turns, "the partition's turns were given up")
	due, _ := d.take(now)
	require.True(t, due[1].ask, "the outbox has them")
	require.Empty(t, due[1].turns)
}

func TestManyTurnsEndTheWaiting(t *testing.T) {
	d, now := newDuties(), time.Now()
	d.turns = actEnough - 3
	d.add(stoppedBatch(t, 1, 3, true), now)
	due, _ := d.take(now)
	require.Len(t, due[1].turns, 3)
}

func TestOfOneSubjectsTurnsTheNewestIsActedOn(t *testing.T) {
	a, err := events.ParseSubject("s-a")
	require.NoError(t, err)
	b, err := events.ParseSubject("s-b")
	require.NoError(t, err)
	got := newest([]cache.Pending{{Subject: a, Offset: 1}, {Subject: b, Offset: 2}, {Subject: a, Offset: 3}})
	require.Equal(t, []cache.Pending{{Subject: b, Offset: 2}, {Subject: a, Offset: 3}}, got)
}
