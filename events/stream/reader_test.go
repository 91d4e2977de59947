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

func TestEverythingIsReadOnceAndInOrder(t *testing.T) {
	const partitions, n = 4, 500
	for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(),
		kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		b := testenv.Kafka(t)
		topic := b.Topic(t, testenv.TopicSpec{Name: "all", Partitions: partitions})
		cl := writer(t, b, kgo.ProducerBatchCompression(codec))
		write(t, cl, topic, partitions, 0, n/2)
		r := reader(t, b, topic)
		require.NoError(t, r.Start(t.Context(), earliest(partitions)))
		got := seen{}
		readAll(t, r, got, partitions*n/2)
		write(t, cl, topic, partitions, n/2, n)
		readAll(t, r, got, partitions*n)
		got.requireCounted(t, partitions, n)
	}
}

func TestEmptyAnswerProvesThatNothingNewerWasThere(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "fresh", Partitions: 2})
	write(t, writer(t, b), topic, 2, 0, 3)
	r := reader(t, b, topic)
	before := time.Now()
	require.NoError(t, r.Start(t.Context(), map[int32]int64{0: 3, 1: 3}))
	f, err := r.Poll(t.Context())
	require.NoError(t, err)
	require.Len(t, f.Batches, 2)
	for _, batch := range f.Batches {
		require.Empty(t, batch.Records)
		require.True(t, batch.CaughtUp())
		require.Equal(t, [4]int64{3, 3, 3, 0}, [4]int64{batch.Next, batch.HighWatermark, batch.LastStable, batch.LogStart})
	}
	require.True(t, f.Sent.After(before))
	require.Less(t, f.Sent.Sub(before), time.Since(before)-100*time.Millisecond, "before the wait, not after it")
}

func TestSeekDropsWhatWasUnderWay(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "seek", Partitions: 2})
	cl := writer(t, b)
	write(t, cl, topic, 2, 0, 10)
	r := reader(t, b, topic, func(c *stream.ReaderConfig) { c.MaxWait = 5 * time.Second; c.Stall = time.Minute })
	require.NoError(t, r.Start(t.Context(), earliest(2)))
	got := seen{}
	readAll(t, r, got, 20)
	write(t, cl, topic, 2, 10, 20) // read ahead now, and not polled
	require.NoError(t, r.Start(t.Context(), map[int32]int64{0: 4}))
	again := seen{}
	began := time.Now()
	readAll(t, r, again, 16+10)
	require.Equal(t, "4", again[0][0])
	require.Len(t, again[0], 16)
	require.Equal(t, "10", again[1][0])
	require.NoError(t, r.Start(t.Context(), map[int32]int64{1: 18})) // during a long poll of five seconds
	readAll(t, r, again, 16+10+2)
	require.Equal(t, []string{"18", "19"}, again[1][10:])
	require.Less(t, time.Since(began), 3*time.Second, "a long poll under way is interrupted")
}

func TestTryPollNeverWaits(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "try"})
	r := reader(t, b, topic)
	require.NoError(t, r.Start(t.Context(), earliest(1)))
	began := time.Now()
	_, ok := r.TryPoll()
	require.False(t, ok)
	require.Less(t, time.Since(began), 100*time.Millisecond)
	write(t, writer(t, b), topic, 1, 0, 5)
	got := seen{}
	require.Eventually(t, func() bool {
		if f, ok := r.TryPoll(); ok {
			got.add(f)
		}
		return got.count() == 5
	}, patience, time.Millisecond)
}

func TestRangesAreReadFromAndTo(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "ranges", Partitions: 3})
	write(t, writer(t, b), topic, 3, 0, 100)
	r := reader(t, b, topic)
	got := map[int32][2]int64{}
	count := 0
	err := r.Read(t.Context(), map[int32]stream.Range{0: {From: 10, To: 20}, 1: {From: stream.Earliest, To: 100}, 2: {From: 5, To: 5}},
		func(b *stream.Batch) error {
			for _, rec := range b.Records {
				span, ok := got[b.Partition]
				if !ok {
					span[0] = rec.Offset
				}
				span[1] = rec.Offset
				got[b.Partition] = span
				count++
			}
			return nil
		})
	require.NoError(t, err)
	require.Equal(t, map[int32][2]int64{0: {10, 19}, 1: {0, 99}}, got)
	require.Equal(t, 110, count)
}

func TestClosedReaderSaysSo(t *testing.T) {
	b := testenv.Kafka(t)
	r := reader(t, b, b.Topic(t, testenv.TopicSpec{Name: "closed"}))
	require.NoError(t, r.Start(t.Context(), earliest(1)))
	polled := make(chan error)
	go func() {
		for {
			f, err := r.Poll(context.Background())
			if err != nil {
				polled <- err
				return
			}
			f.Release()
		}
	}()
	r.Close()
	require.ErrorIs(t, <-polled, stream.ErrReaderClosed)
}

// A reader that reads one range after the other must not take the answer that was
// read ahead for the first for one of the second.
func TestRangesFollowEachOtherWithoutAGap(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "ranges"})
	cl := writer(t, b)
	for i := range 20 {
		write(t, cl, topic, 1, 20*i, 20*i+20) // a batch each
	}
	// One batch an answer: another one is always read ahead.
	r := reader(t, b, topic, func(c *stream.ReaderConfig) { c.MaxFetchBytes, c.PartitionMaxBytes = 1, 1 })
	next := int64(0)
	for next < 400 {
		to := min(next+7, 400)
		err := r.Read(t.Context(), map[int32]stream.Range{0: {From: next, To: to}}, func(batch *stream.Batch) error {
			for _, record := range batch.Records {
				require.Equal(t, next, record.Offset)
				next++
			}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, to, next)
	}
}
