//go:build real

package stream_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
)

// childTopic tells a child process of this test binary what to read with kafka.Reader.
const childTopic = "KELISIM_TEST_READ_WITH_KAFKA_READER"

// emptyRow writes the history that leaves ten empty batches in a row: Kafka keeps the last batch of every
// live producer id, also when a later producer has overwritten all its keys.
func emptyRow(t *testing.T, b *testenv.Broker) (topic string, written int) {
	t.Helper()
	topic = b.Topic(t, testenv.TopicSpec{Name: "cleaned", Config: testenv.CompactedConfig()})
	for producer := range 10 {
		cl := writer(t, b)
		var batch []*kgo.Record
		for key := range 3 {
			batch = append(batch, keyed(topic, fmt.Sprint("k", key), fmt.Sprint("old-", producer)))
		}
		require.NoError(t, cl.ProduceSync(t.Context(), batch...).FirstErr())
	}
	return topic, 30 + writeUntilCleaned(t, b, topic, 30)
}

// writeUntilCleaned overwrites the three keys, and goes on until none of the first offsets holds a record
// any more. It returns how many records it wrote.
func writeUntilCleaned(t *testing.T, b *testenv.Broker, topic string, offsets int64) int {
	t.Helper()
	cl, n := writer(t, b), 0
	require.Eventually(t, func() bool {
		for key := range 3 {
			require.NoError(t, cl.ProduceSync(t.Context(), keyed(topic, fmt.Sprint("k", key), fmt.Sprint("new-", n))).FirstErr())
			n++
		}
		kept := survivors(t, b, topic)
		return kept[0].Offset >= offsets
	}, 2*time.Minute, 300*time.Millisecond, "the log cleaner has not come")
	return n
}

func keyed(topic, key, value string) *kgo.Record {
	return &kgo.Record{Topic: topic, Key: []byte(key), Value: []byte(value)}
}

// survivors reads all that is left of a topic of one partition.
func survivors(t *testing.T, b *testenv.Broker, topic string) []stream.Record {
	t.Helper()
	r := reader(t, b, topic)
	defer r.Close()
	ends, err := r.Offsets(t.Context())
	require.NoError(t, err)
	var kept []stream.Record
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, r.Read(ctx, map[int32]stream.Range{0: {From: 0, To: ends[0].End}}, func(b *stream.Batch) error {
		for _, rec := range b.Records {
			rec.Key, rec.Value = slices.Clone(rec.Key), slices.Clone(rec.Value)
			rec.Headers = stream.Headers{}
			kept = append(kept, rec)
		}
		return nil
	}))
	return kept
}

func TestEmptyBatchesOfTheLogCleanerAreReadAndKillKafkaReader(t *testing.T) {
	b := testenv.Kafka(t)
	topic, written := emptyRow(t, b)
	kept := survivors(t, b, topic)
	require.Less(t, len(kept), written-29)
	require.GreaterOrEqual(t, kept[0].Offset, int64(30))
	last := map[string]string{}
	for i, r := range kept {
		last[string(r.Key)] = string(r.Value)
		require.True(t, i == 0 || r.Offset > kept[i-1].Offset)
	}
	want := map[string]string{}
	for i := written - 30 - 3; i < written-30; i++ {
		want[fmt.Sprint("k", i%3)] = fmt.Sprint("new-", i)
	}
	require.Equal(t, want, last)

	// The same log through kafka-go's reader, in a process of its own: the panic is in a goroutine of the
	// library and cannot be caught.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestChildReadsWithKafkaReader$")
	child.Env = append(os.Environ(), childTopic+"="+b.Addr()+" "+topic)
	out, err := child.CombinedOutput()
	require.Error(t, err, "kafka.Reader has been mended: read libraries' notes again")
	require.Contains(t, string(out), "markRead: negative count")
}

// TestChildReadsWithKafkaReader is the child of the test above; alone it has nothing to do.
func TestChildReadsWithKafkaReader(t *testing.T) {
	what := strings.Fields(os.Getenv(childTopic))
	if len(what) != 2 {
		return
	}
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: what[:1], Topic: what[1], MaxWait: 100 * time.Millisecond})
	defer r.Close()
	for {
		if _, err := r.ReadMessage(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCompactedTopicIsReadToTheStateItWasWrittenTo(t *testing.T) {
	const keys = 20
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := testenv.Kafka(t)
			topic := b.Topic(t, testenv.TopicSpec{Name: "compacted-" + name, Config: testenv.CompactedConfig()})
			cl := writer(t, b, kgo.ProducerBatchCompression(codec))
			want, written, wrote := map[string]string{}, 0, int64(0)
			require.Eventually(t, func() bool {
				var batch []*kgo.Record
				for range 7 { // out of step with the keys, so that batches lose heads, tails and middles
					key, value := fmt.Sprint("k", (written*written)%keys), fmt.Sprint(written)
					batch = append(batch, keyed(topic, key, value))
					want[key] = value
					written++
				}
				res := cl.ProduceSync(t.Context(), batch...)
				require.NoError(t, res.FirstErr())
				wrote = res[len(res)-1].Record.Offset + 1
				kept := survivors(t, b, topic)
				return len(kept) < written/2
			}, 2*time.Minute, 200*time.Millisecond, "the log cleaner has not come")
			got := map[string]string{}
			kept := survivors(t, b, topic)
			for _, r := range kept {
				got[string(r.Key)] = string(r.Value)
			}
			require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)))
			require.Equal(t, want, got)
			require.Equal(t, wrote-1, kept[len(kept)-1].Offset)
		})
	}
}

func TestOnlyCommittedTransactionsAreRead(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "transactions"})
	plain := writer(t, b)
	txn := map[string]*kgo.Client{}
	for _, id := range []string{"a", "b"} {
		txn[id] = writer(t, b, kgo.TransactionalID(topic+id))
	}
	put := func(cl *kgo.Client, value string) {
		require.NoError(t, cl.ProduceSync(t.Context(), keyed(topic, "k", value)).FirstErr())
	}
	end := func(id string, how kgo.TransactionEndTry) {
		require.NoError(t, txn[id].EndTransaction(t.Context(), how))
	}
	var want []string
	for round := range 3 {
		name := func(what string) string { return fmt.Sprint(what, "-", round) }
		require.NoError(t, txn["a"].BeginTransaction())
		require.NoError(t, txn["b"].BeginTransaction())
		put(txn["a"], name("a-aborted"))
		put(txn["b"], name("b-committed"))
		put(plain, name("plain"))
		put(txn["a"], name("a-aborted-too"))
		put(txn["b"], name("b-committed-too"))
		end("a", kgo.TryAbort)
		require.NoError(t, txn["a"].BeginTransaction())
		put(txn["a"], name("a-committed"))
		end("a", kgo.TryCommit)
		end("b", kgo.TryCommit)
		want = append(want, name("b-committed"), name("plain"), name("b-committed-too"), name("a-committed"))
	}
	var got []string
	require.Eventually(t, func() bool { // the coordinator has ended a transaction before its markers are written
		got = nil
		for _, r := range survivors(t, b, topic) {
			got = append(got, string(r.Value))
		}
		return len(got) >= len(want)
	}, 30*time.Second, 20*time.Millisecond)
	require.Equal(t, want, got)

	r := reader(t, b, topic)
	ends, err := r.Offsets(t.Context())
	require.NoError(t, err)
	require.NoError(t, txn["a"].BeginTransaction())
	put(txn["a"], "open")
	require.NoError(t, r.Start(t.Context(), map[int32]int64{0: ends[0].End}))
	f, err := r.Poll(t.Context())
	require.NoError(t, err)
	require.Zero(t, f.Records(), "an open transaction is held back")
	require.True(t, f.Batches[0].CaughtUp())
	require.Greater(t, f.Batches[0].HighWatermark, f.Batches[0].LastStable)
	f.Release()
	end("a", kgo.TryCommit)
	s := seen{}
	readAll(t, r, s, 1)
	require.Equal(t, []string{"open"}, s[0])
}
