package stream_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestOffsetsOfAGroupAreSetWithoutJoiningIt(t *testing.T) {
	b := testenv.Kafka(t)
	a := admin(t, b)
	topic := b.Topic(t, testenv.TopicSpec{Name: "commits", Partitions: 3})
	group := topic + "-group"
	none := map[int32]int64{0: stream.NoOffset, 1: stream.NoOffset, 2: stream.NoOffset}

	read := func() map[int32]int64 {
		found, err := a.CommittedOffsets(t.Context(), group, topic)
		require.NoError(t, err)
		return found
	}
	require.Equal(t, none, read(), "a group that never was")
	require.NoError(t, a.SetCommittedOffsets(t.Context(), group, topic, none), "there is nothing to take away")
	require.NoError(t, a.SetCommittedOffsets(t.Context(), group, topic, map[int32]int64{0: 7, 2: 0}))
	require.Equal(t, map[int32]int64{0: 7, 1: stream.NoOffset, 2: 0}, read())
	require.NoError(t, a.SetCommittedOffsets(t.Context(), group, topic, map[int32]int64{0: 9, 2: stream.NoOffset}))
	require.Equal(t, map[int32]int64{0: 9, 1: stream.NoOffset, 2: stream.NoOffset}, read())

	_, err := a.CommittedOffsets(t.Context(), group, topic+"-none")
	require.ErrorContains(t, err, topic+"-none")
}

func TestOffsetsOfALivingGroupAreItsMembersAlone(t *testing.T) {
	b := testenv.Kafka(t)
	a := admin(t, b)
	topic := b.Topic(t, testenv.TopicSpec{Name: "lives", Partitions: 2})
	group := topic + "-group"
	require.NoError(t, a.SetCommittedOffsets(t.Context(), group, topic, map[int32]int64{0: 5}))
	member := join(t, b, stream.ConsumerConfig{Group: group, Topic: topic}, newLedger().handle("lives"))
	state := func() string {
		g, err := a.Group(t.Context(), group)
		require.NoError(t, err)
		return g.State
	}
	require.Eventually(t, func() bool { return state() == "Stable" }, 30*time.Second, 20*time.Millisecond)
	for _, offset := range []int64{1, stream.NoOffset} {
		err := a.SetCommittedOffsets(t.Context(), group, topic, map[int32]int64{0: offset})
		if err == nil && !testenv.Real() {
			continue // the embedded one takes what brokers refuse
		}
		require.ErrorIs(t, err, stream.ErrGroupLives)
		require.ErrorContains(t, err, group)
	}
	require.NoError(t, member.stop())
	require.Eventually(t, func() bool { return state() == "Empty" }, 30*time.Second, 20*time.Millisecond)
	require.NoError(t, a.SetCommittedOffsets(t.Context(), group, topic, map[int32]int64{0: 1}))
}
