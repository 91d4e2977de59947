//go:build real

package stream

import (
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/testenv"
)

// A follower's high watermark is behind the leader's, so an empty answer of a follower proves nothing.
func TestFollowersDoNotAnswerForTheirLeader(t *testing.T) {
	b := testenv.Kafka(t, testenv.WithBrokers(3))
	topic := b.Topic(t, testenv.TopicSpec{Name: "followers"})
	b.MoveLeader(t, topic, 0, 1)
	l, err := newLinks(Config{Brokers: b.Addrs()}, topic)
	require.NoError(t, err)
	defer l.close()
	require.Eventually(t, func() bool { // metadata reaches one node after the other
		leaders, err := l.leaders(t.Context(), true)
		return err == nil && leaders[0] == 1
	}, time.Minute, 50*time.Millisecond)

	code := func(node int32, version int16) int16 {
		body := appendFetchRequest(nil, topic, 100, 1<<20, &fetchSession{send: []asked{{partition: 0, maxBytes: 1 << 20}}})
		if version > fetchVersion {
			body = appendString(body, "") // rack
		}
		x := &exchange{ctx: t.Context(), node: node, api: protocol.Fetch, version: version, body: body,
			wait: 100 * time.Millisecond, limit: 1 << 20}
		_, err := l.roundTrip(t.Context(), x)
		require.NoError(t, err)
		r := wireReader{b: x.frame}
		r.take(4 + 2 + 4 + 4) // throttle, error, session, topics
		r.string()
		r.take(4 + 4) // partitions, partition
		return r.int16()
	}
	require.Zero(t, code(1, fetchVersion))
	for _, follower := range []int32{0, 2} {
		require.Equal(t, int16(kafka.NotLeaderForPartition), code(follower, fetchVersion))
		require.Zero(t, code(follower, fetchVersion+1), "the reason why a later version must not be used")
	}
}
