package stream_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
)

// A copy of a record without a key has a place all the same.
func TestCopyWithoutAKeyGoesBesideWhatItCopies(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "copies", Partitions: 3})
	p := producer(t, b)
	for from, want := range map[int32]int32{0: 0, 2: 2, 3: 0, 11: 2} {
		ack, err := p.Publish(within(t), stream.Message{Topic: topic, Partition: stream.Beside(from)})
		require.NoError(t, err)
		require.Equal(t, want, ack.Partition, "beside partition %d", from)
	}
	for _, r := range readLog(t, b, topic) {
		require.Nil(t, r.Key)
	}
}

// A message may be larger than a batch of several ever is, where both the producer
// and the topic are told so.
func TestLargeMessageGoesWhereItIsMeantTo(t *testing.T) {
	b := testenv.Kafka(t)
	small := b.Topic(t, testenv.TopicSpec{Name: "small"})
	large := b.Topic(t, testenv.TopicSpec{Name: "large", Config: map[string]string{"max.message.bytes": "4194304"}})
	p := producer(t, b, func(c *stream.ProducerConfig) { c.MessageBytes, c.QueuedBytes = 4_000_000, 1 }) // there is room for one all the same
	m := stream.Message{Topic: large, Partition: 0, Value: make([]byte, 3_900_000)}
	_, err := p.PublishAll(within(t), []stream.Message{toPartition(large, 0), m, toPartition(large, 0)})
	require.NoError(t, err)
	log := readLog(t, b, large)
	require.Len(t, log, 3)
	require.Len(t, log[1].Value, len(m.Value))

	m.Topic = small
	_, err = p.Publish(within(t), m)
	require.ErrorIs(t, err, stream.ErrRefused, "by the topic")
	m.Topic, m.Value = large, make([]byte, 4_000_001)
	_, err = p.Publish(within(t), m)
	require.ErrorIs(t, err, stream.ErrRefused, "by the producer")
	require.ErrorContains(t, err, "more than 4000000")
	_, err = p.Publish(within(t), toPartition(small, 0))
	require.NoError(t, err, "and others go on")
}
