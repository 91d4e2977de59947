package stream_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
)

func admin(t testing.TB, b *testenv.Broker) *stream.Admin {
	t.Helper()
	a, err := stream.NewAdmin(stream.Config{Brokers: b.Addrs()})
	require.NoError(t, err)
	return a
}

func TestTopicsAreCreatedOnceAndNeverAlteredInPlace(t *testing.T) {
	b := testenv.Kafka(t)
	a := admin(t, b)
	name := b.Topic(t, testenv.TopicSpec{Name: "spec"}) + "-created"
	t.Cleanup(func() { _, _ = b.Admin(t).DeleteTopics(context.Background(), name) })
	spec := stream.TopicSpec{Name: name, Partitions: 3, Replicas: 1,
		Config: map[string]string{"message.timestamp.type": "LogAppendTime", "retention.ms": "123456"}}
	for range 2 { // the second time it is there already
		require.NoError(t, a.CreateTopics(t.Context(), []stream.TopicSpec{spec}))
	}
	n, err := a.Partitions(t.Context(), name)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	configs, err := b.Admin(t).DescribeTopicConfigs(t.Context(), name)
	require.NoError(t, err)
	found := map[string]string{}
	for _, c := range configs[0].Configs {
		found[c.Key] = c.MaybeValue()
	}
	require.Equal(t, "LogAppendTime", found["message.timestamp.type"])
	require.Equal(t, "123456", found["retention.ms"])

	spec.Partitions = 2
	require.ErrorContains(t, a.CreateTopics(t.Context(), []stream.TopicSpec{spec}), "exists with 3 partitions, want 2")
	spec.Name, spec.Partitions = "", 1
	require.Error(t, a.CreateTopics(t.Context(), []stream.TopicSpec{spec}))
}

func TestOffsetsTellTheRangeOfEveryPartition(t *testing.T) {
	testenv.Parallel(t)
	for _, b := range []*testenv.Broker{testenv.Kafka(t), testenv.Kafka(t, testenv.WithBrokers(3))} {
		topic := b.Topic(t, testenv.TopicSpec{Name: "offsets", Partitions: 7})
		cl := writer(t, b)
		write(t, cl, topic, 7, 0, 20)
		deleteBefore(t, b, topic, 3, 12)
		ranges, err := admin(t, b).Offsets(t.Context(), topic)
		require.NoError(t, err)
		require.Len(t, ranges, 7)
		for p, r := range ranges {
			want := stream.Offsets{First: 0, End: 20}
			if p == 3 {
				want.First = 12
			}
			require.Equal(t, want, r, "partition %d", p)
		}
		_, err = admin(t, b).Offsets(t.Context(), topic+"-none")
		require.ErrorContains(t, err, topic+"-none")
	}
}

func TestOffsetsOfATime(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "times"})
	at := time.UnixMilli(time.Now().UnixMilli()).Add(-time.Minute)
	cl := writer(t, b)
	for i := range 3 {
		rec := &kgo.Record{Topic: topic, Value: []byte("x"), Timestamp: at.Add(time.Duration(i) * time.Second)}
		require.NoError(t, cl.ProduceSync(t.Context(), rec).FirstErr())
	}
	for _, test := range []struct {
		after time.Duration
		want  int64
	}{{-time.Hour, 0}, {0, 0}, {time.Millisecond, 1}, {2 * time.Second, 2}, {time.Hour, -1}} {
		found, err := admin(t, b).OffsetsAt(t.Context(), topic, at.Add(test.after))
		require.NoError(t, err)
		require.Equal(t, map[int32]int64{0: test.want}, found, "%v after", test.after)
	}
}
