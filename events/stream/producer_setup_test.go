package stream_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
)

// testTimeout bounds what a test waits for; nothing here takes long unless it hangs.
const testTimeout = 30 * time.Second

// appendTime makes a topic that keeps the broker's time.
var appendTime = map[string]string{"message.timestamp.type": "LogAppendTime"}

// producer makes a producer that the test closes. change may adjust the configuration.
func producer(t testing.TB, b *testenv.Broker, change ...func(*stream.ProducerConfig)) *stream.Producer {
	t.Helper()
	cfg := stream.ProducerConfig{Config: stream.Config{Brokers: b.Addrs()}}
	for _, c := range change {
		c(&cfg)
	}
	p, err := stream.NewProducer(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
		defer cancel()
		require.NoError(t, p.Close(ctx))
	})
	return p
}

// within gives a context that ends with the test or after testTimeout.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

// readLog reads everything that a topic holds now, through another library: by partition, and in its order.
func readLog(t testing.TB, b *testenv.Broker, topic string) []*kgo.Record {
	t.Helper()
	ctx := within(t)
	admin := b.Admin(t)
	ends, err := admin.ListEndOffsets(ctx, topic)
	require.NoError(t, err)
	from := make(map[int32]kgo.Offset)
	missing := int64(0)
	ends.Each(func(o kadm.ListedOffset) {
		require.NoError(t, o.Err)
		from[o.Partition] = kgo.NewOffset().At(0)
		missing += o.Offset
	})
	reader, err := kgo.NewClient(kgo.SeedBrokers(b.Addrs()...), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
	require.NoError(t, err)
	defer reader.Close()
	var out []*kgo.Record
	for int64(len(out)) < missing {
		fetches := reader.PollFetches(ctx)
		require.NoError(t, fetches.Err())
		out = append(out, fetches.Records()...)
	}
	slices.SortStableFunc(out, func(a, b *kgo.Record) int {
		if a.Partition != b.Partition {
			return int(a.Partition - b.Partition)
		}
		return int(a.Offset - b.Offset)
	})
	return out
}

// valuesOf gives the values of the records with a key, in their order.
func valuesOf(records []*kgo.Record, key string) []string {
	var out []string
	for _, r := range records {
		if string(r.Key) == key {
			out = append(out, string(r.Value))
		}
	}
	return out
}

// pollEvery is how often a test looks whether something has happened that nobody signals.
const pollEvery = 2 * time.Millisecond
