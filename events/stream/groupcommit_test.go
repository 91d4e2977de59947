package stream_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/kafkaproxy"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestEverythingThatQueuedLeavesInOneRequest(t *testing.T) {
	const queued = 200
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "group", Config: appendTime})
	hold := make(chan struct{})
	proxy := kafkaproxy.New(nil)
	p := producer(t, b, func(c *stream.ProducerConfig) { c.Dial, c.RequestTimeout = proxy.Dial, testTimeout })
	warmUp(t, p, topic, 0)

	proxy.Begin(holding(1, hold))
	var done sync.WaitGroup
	publishAsync(t, &done, p, topic, 0, 1)
	require.Eventually(t, func() bool { return proxy.Produced() == 1 }, testTimeout, pollEvery) // alone and at once
	publishAsync(t, &done, p, topic, 0, queued)
	close(hold)
	done.Wait()
	require.Equal(t, 2, proxy.Produced())
	require.Len(t, readLog(t, b, topic), 2+queued)
}

func TestIdlePartitionDoesNotWaitForABusyOne(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "group", Partitions: 2, Config: appendTime})
	hold := make(chan struct{})
	proxy := kafkaproxy.New(nil)
	p := producer(t, b, func(c *stream.ProducerConfig) { c.Dial, c.RequestTimeout = proxy.Dial, testTimeout })
	warmUp(t, p, topic, 0, 1)

	proxy.Begin(holding(1, hold))
	var done sync.WaitGroup
	publishAsync(t, &done, p, topic, 0, 1)
	require.Eventually(t, func() bool { return proxy.Produced() == 1 }, testTimeout, pollEvery)
	ack, err := p.Publish(within(t), toPartition(topic, 1))
	require.NoError(t, err)
	require.EqualValues(t, 1, ack.Partition)
	close(hold)
	done.Wait()
}

func TestPartitionsOfOneBrokerShareARequestWhenItIsBusy(t *testing.T) {
	const partitions, inFlight = 10, 4 // requestsPerBroker
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "group", Partitions: partitions, Config: appendTime})
	hold := make(chan struct{})
	proxy := kafkaproxy.New(nil)
	p := producer(t, b, func(c *stream.ProducerConfig) { c.Dial, c.RequestTimeout = proxy.Dial, testTimeout })
	for i := range partitions {
		warmUp(t, p, topic, int32(i))
	}

	proxy.Begin(func(int) kafkaproxy.Fault { return kafkaproxy.Fault{Hold: hold} })
	var done sync.WaitGroup
	for i := range inFlight {
		publishAsync(t, &done, p, topic, int32(i), 1)
		require.Eventually(t, func() bool { return proxy.Produced() == i+1 }, testTimeout, pollEvery)
	}
	for i := inFlight; i < partitions; i++ {
		publishAsync(t, &done, p, topic, int32(i), 1)
	}
	close(hold)
	done.Wait()
	require.Equal(t, inFlight+1, proxy.Produced(), "the six that waited go together")
	for i, n := range perPartition(readLog(t, b, topic)) {
		require.Equal(t, 2, n, "partition %d", i)
	}
}

// TestOneBadMessageDoesNotFailItsBatch joins messages that are fine with one that the topic refuses, and some that are
// only together too large for it.
func TestOneBadMessageDoesNotFailItsBatch(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "group", Config: map[string]string{
		"message.timestamp.type": "LogAppendTime", "max.message.bytes": "2000",
	}})
	hold := make(chan struct{})
	proxy := kafkaproxy.New(nil)
	p := producer(t, b, func(c *stream.ProducerConfig) { c.Dial, c.RequestTimeout = proxy.Dial, testTimeout })
	warmUp(t, p, topic, 0)
	proxy.Begin(holding(1, hold))
	var done sync.WaitGroup
	publishAsync(t, &done, p, topic, 0, 1)
	require.Eventually(t, func() bool { return proxy.Produced() == 1 }, testTimeout, pollEvery)

	const n, bad = 21, 13
	outcomes := make([]error, n)
	for i := range n {
		value := strings.Repeat("x", 300)
		if i == bad {
			value = strings.Repeat("x", 3000)
		}
		m := message(topic, fmt.Sprint("s", i%7), value) // i=20 has the key of the bad one
		m.Headers = []stream.Header{{Key: "n", Value: []byte(fmt.Sprint(i))}}
		done.Add(1)
		p.PublishAsync(within(t), m, func(_ stream.Ack, err error) {
			defer done.Done()
			outcomes[i] = err
		})
	}
	close(hold)
	done.Wait()
	var want []string
	for i, err := range outcomes {
		switch i {
		case bad:
			require.ErrorIs(t, err, stream.ErrRefused)
		case 20:
			require.ErrorIs(t, err, stream.ErrNotSent, "it stood behind one of the same key that failed")
		default:
			require.NoError(t, err, "message %d", i)
			want = append(want, fmt.Sprint(i))
		}
	}
	var got []string
	for _, r := range readLog(t, b, topic)[2:] {
		got = append(got, string(r.Headers[0].Value))
	}
	require.Equal(t, want, got, "all others, in order")
}

func TestLargeBatchesAreCompressedWhenAskedFor(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "group", Config: appendTime})
	p := producer(t, b, func(c *stream.ProducerConfig) { c.Compression = 4 }) // zstd
	warmUp(t, p, topic, 0)
	messages := make([]stream.Message, 100)
	for i := range messages {
		messages[i] = toPartition(topic, 0)
		messages[i].Value = []byte(strings.Repeat("compressible ", 10))
	}
	_, err := p.PublishAll(within(t), messages)
	require.NoError(t, err)
	log := readLog(t, b, topic)
	require.Len(t, log, 101)
	require.EqualValues(t, 0, log[0].Attrs.CompressionType(), "a small batch gains nothing")
	require.EqualValues(t, 4, log[100].Attrs.CompressionType())
	require.Equal(t, messages[99].Value, log[100].Value)
}

// warmUp publishes one message per partition, so that connections, leaders and the producer id are there.
func warmUp(t *testing.T, p *stream.Producer, topic string, partitions ...int32) {
	t.Helper()
	for _, partition := range partitions {
		_, err := p.Publish(within(t), toPartition(topic, partition))
		require.NoError(t, err)
	}
}

// publishAsync queues n messages and counts done off as they are acknowledged.
func publishAsync(t *testing.T, done *sync.WaitGroup, p *stream.Producer, topic string, partition int32, n int) {
	t.Helper()
	for range n {
		done.Add(1)
		p.PublishAsync(within(t), toPartition(topic, partition), func(_ stream.Ack, err error) {
			defer done.Done()
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func toPartition(topic string, partition int32) stream.Message {
	return stream.Message{Topic: topic, Partition: partition, Value: []byte("v")}
}

func perPartition(records []*kgo.Record) map[int32]int {
	n := make(map[int32]int)
	for _, r := range records {
		n[r.Partition]++
	}
	return n
}
