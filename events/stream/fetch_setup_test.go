package stream_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
)

// writer makes a franz-go client that writes to the partitions that records name.
func writer(t testing.TB, b *testenv.Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(b.Addrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MetadataMinAge(50 * time.Millisecond), kgo.ProducerLinger(0),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
	}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	return cl
}

// write appends records with values from to to-1 to every one of the partitions.
func write(t testing.TB, cl *kgo.Client, topic string, partitions, from, to int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var records []*kgo.Record
	for i := from; i < to; i++ {
		for p := range partitions {
			records = append(records, &kgo.Record{
				Topic: topic, Partition: int32(p),
				Key: fmt.Appendf(nil, "subject-%d", i%10), Value: fmt.Appendf(nil, "%d", i),
			})
		}
	}
	require.NoError(t, cl.ProduceSync(ctx, records...).FirstErr())
}

// patience is how long a test waits for what should take a moment.
const patience = 30 * time.Second

// reader makes a Reader on a topic, with short waits.
func reader(t testing.TB, b *testenv.Broker, topic string, change ...func(*stream.ReaderConfig)) *stream.Reader {
	t.Helper()
	conf := stream.ReaderConfig{
		Config: stream.Config{Brokers: b.Addrs()}, Topic: topic, MaxWait: 200 * time.Millisecond,
	}
	for _, c := range change {
		c(&conf)
	}
	r, err := stream.NewReader(conf)
	require.NoError(t, err)
	t.Cleanup(r.Close)
	return r
}

// earliest starts n partitions where they begin.
func earliest(n int) map[int32]int64 {
	from := map[int32]int64{}
	for p := range n {
		from[int32(p)] = stream.Earliest
	}
	return from
}

// seen is what was read, value by value, per partition.
type seen map[int32][]string

// add notes the records of a fetch and releases it.
func (s seen) add(f *stream.Fetch) {
	for _, b := range f.Batches {
		for _, r := range b.Records {
			s[b.Partition] = append(s[b.Partition], string(r.Value))
		}
	}
	f.Release()
}

func (s seen) count() int {
	n := 0
	for _, values := range s {
		n += len(values)
	}
	return n
}

// requireCounted checks that every partition holds the values 0 to n-1 in order, each once.
func (s seen) requireCounted(t testing.TB, partitions, n int) {
	t.Helper()
	for p := range partitions {
		require.Len(t, s[int32(p)], n, "partition %d", p)
		for i, value := range s[int32(p)] {
			require.Equal(t, fmt.Sprint(i), value, "partition %d", p)
		}
	}
}

// readAll polls until n records have been seen.
func readAll(t testing.TB, r interface {
	Poll(context.Context) (*stream.Fetch, error)
}, into seen, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for into.count() < n {
		f, err := r.Poll(ctx)
		require.NoError(t, err, "after %d of %d records", into.count(), n)
		into.add(f)
	}
}
