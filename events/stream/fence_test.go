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

func fencer(t testing.TB, b *testenv.Broker, change ...func(*stream.ProducerConfig)) *stream.Fencer {
	t.Helper()
	cfg := stream.ProducerConfig{Config: stream.Config{Brokers: b.Addrs()}}
	for _, c := range change {
		c(&cfg)
	}
	f, err := stream.NewFencer(cfg)
	require.NoError(t, err)
	t.Cleanup(f.Close)
	return f
}

func said(value string) stream.Message {
	return stream.Message{Key: []byte("k"), Value: []byte(value)}
}

func texts(records []*kgo.Record) (out []string) {
	for _, r := range records {
		out = append(out, string(r.Value))
	}
	return out
}

// The zombie is a program that was paused and knows nothing of its successor.
func TestZombieCannotWriteBehindItsSuccessor(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "fenced", Partitions: 2})
	ctx := within(t)
	zombie, err := fencer(t, b).Fence(ctx, topic+"/1", topic, 1, said("first"))
	require.NoError(t, err)
	require.NoError(t, zombie.Publish(ctx, []stream.Message{said("a"), said("b")}))

	other, err := fencer(t, b).Fence(ctx, topic+"/0", topic, 0, said("another partition"))
	require.NoError(t, err)
	successor, err := fencer(t, b).Fence(ctx, topic+"/1", topic, 1, said("second"))
	require.NoError(t, err)
	require.ErrorIs(t, zombie.Publish(ctx, []stream.Message{said("too late")}), stream.ErrFenced)
	require.ErrorIs(t, zombie.Publish(ctx, []stream.Message{said("again")}), stream.ErrFenced)
	require.NoError(t, successor.Publish(ctx, []stream.Message{said("c")}))
	require.NoError(t, other.Publish(ctx, []stream.Message{said("unharmed")}))

	require.Equal(t, []string{"another partition", "unharmed", "first", "a", "b", "second", "c"}, texts(readLog(t, b, topic)))
}

// Whoever was fenced may come back, and fences its successor then.
func TestFencedProducerTakesThePartitionBack(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "fenced"})
	ctx := within(t)
	one, two := fencer(t, b), fencer(t, b)
	var last *stream.Fenced
	for round := range 4 {
		next, err := []*stream.Fencer{one, two}[round%2].Fence(ctx, topic, topic, 0, said(fmt.Sprint(round)))
		require.NoError(t, err)
		if last != nil {
			require.ErrorIs(t, last.Publish(ctx, []stream.Message{said("no")}), stream.ErrFenced)
		}
		last = next
	}
	require.Equal(t, []string{"0", "1", "2", "3"}, texts(readLog(t, b, topic)))
}

func TestFencedPublishesMoreThanOneBatch(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "fenced"})
	ctx := within(t)
	w, err := fencer(t, b).Fence(ctx, topic, topic, 0, said("0"))
	require.NoError(t, err)
	want, big := []string{"0"}, make([]stream.Message, 0, 12_000)
	for i := range cap(big) {
		want = append(want, fmt.Sprint(i+1))
		big = append(big, said(want[i+1]))
	}
	require.NoError(t, w.Publish(ctx, big))
	require.Equal(t, want, texts(readLog(t, b, topic)))
	require.ErrorIs(t, w.Publish(ctx, []stream.Message{{Key: []byte("k"), Value: make([]byte, 2<<20)}}), stream.ErrRefused)
}

// A leader that moves is found, and nothing is doubled on the way.
func TestFencedFollowsItsLeader(t *testing.T) {
	b := testenv.Kafka(t, testenv.WithBrokers(3))
	topic := b.Topic(t, testenv.TopicSpec{Name: "fenced"})
	ctx := within(t)
	w, err := fencer(t, b).Fence(ctx, topic, topic, 0, said("0"))
	require.NoError(t, err)
	want := []string{"0"}
	for node := range 3 {
		b.MoveLeader(t, topic, 0, node)
		want = append(want, fmt.Sprint("on ", node))
		require.NoError(t, w.Publish(ctx, []stream.Message{said(want[len(want)-1])}))
	}
	require.Equal(t, want, texts(readLog(t, b, topic)))
}

func TestFenceSaysWhatIsMissing(t *testing.T) {
	testenv.Parallel(t)
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "fenced"})
	f := fencer(t, b)
	_, err := f.Fence(within(t), "id", topic, 7, said("x"))
	require.ErrorContains(t, err, topic+"/7: the topic has 1 partitions")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = f.Fence(ctx, "id", "no-such-topic", 0, said("x"))
	require.ErrorContains(t, err, "no-such-topic/0")
}
