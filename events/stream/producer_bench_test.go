package stream_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
)

// BenchmarkPublishSingle publishes one message at a time, and beside each one by kafka-go's bare Client.Produce, in
// turns, so that both meet the same machine. "ratio" is the quotient of the medians: the goal is 1.5 at most.
func BenchmarkPublishSingle(b *testing.B) {
	broker := testenv.Kafka(b)
	topic := broker.Topic(b, testenv.TopicSpec{Name: "single", Config: appendTime})
	p := producer(b, broker)
	bare := bareClient(b, broker)
	ctx := context.Background()
	ours, theirs := make([]time.Duration, 0, b.N), make([]time.Duration, 0, b.N)
	one := func() {
		m := eventMessage(topic, len(ours))
		start := time.Now()
		_, err := p.Publish(ctx, m)
		ours = append(ours, time.Since(start))
		require.NoError(b, err)
		start = time.Now()
		produceBare(ctx, b, bare, topic, 0, []stream.Message{m})
		theirs = append(theirs, time.Since(start))
	}
	one() // both have their connections now
	ours, theirs = ours[:0], theirs[:0]
	b.ResetTimer()
	for range b.N {
		one()
	}
	b.StopTimer()
	slices.Sort(ours)
	slices.Sort(theirs)
	at := func(d []time.Duration, q float64) float64 { return float64(d[int(q*float64(len(d)-1))].Microseconds()) }
	b.ReportMetric(at(ours, 0.5), "p50-us")
	b.ReportMetric(at(ours, 0.99), "p99-us")
	b.ReportMetric(at(theirs, 0.5), "bare-p50-us")
	b.ReportMetric(at(theirs, 0.99), "bare-p99-us")
	b.ReportMetric(at(ours, 0.5)/at(theirs, 0.5), "ratio")
}

// BenchmarkPublishBulk has eight callers publish 1,000 messages per call over eight partitions, and beside it the
// same by kafka-go's bare Client.Produce, each caller to a partition of its own: the fastest that client can be used.
func BenchmarkPublishBulk(b *testing.B) {
	const callers, perCall, partitions = 8, 1000, 8
	broker := testenv.Kafka(b)
	spec := testenv.TopicSpec{Name: "bulk", Partitions: partitions, Config: appendTime}
	topic, bareTopic := broker.Topic(b, spec), broker.Topic(b, spec)
	p := producer(b, broker)
	bare := bareClient(b, broker)
	ctx := context.Background()
	var messages [callers][]stream.Message
	for c := range messages {
		for i := range perCall {
			messages[c] = append(messages[c], eventMessage(topic, c*perCall+i))
		}
	}
	ours := func(c int) {
		_, err := p.PublishAll(ctx, messages[c])
		require.NoError(b, err)
	}
	theirs := func(c int) { produceBare(ctx, b, bare, bareTopic, c%partitions, messages[c]) }
	round := func(calls int, call func(c int)) time.Duration {
		start := time.Now()
		var wg sync.WaitGroup
		for c := range callers {
			wg.Go(func() {
				for range calls {
					call(c)
				}
			})
		}
		wg.Wait()
		return time.Since(start)
	}
	round(1, ours)
	for c := range callers { // a broker that just heard of a topic may still say no, and the bare client does not retry
		require.Eventually(b, func() bool {
			return tryBare(ctx, bare, bareTopic, c%partitions, messages[c]) == nil
		}, testTimeout, 50*time.Millisecond)
	}
	const calls = 25
	const total = calls * callers * perCall
	var us, them, ratios, cpu, bareCPU []float64
	b.ResetTimer()
	for range b.N {
		start := processCPU(b)
		them = append(them, total/round(calls, theirs).Seconds())
		middle := processCPU(b)
		us = append(us, total/round(calls, ours).Seconds())
		bareCPU = append(bareCPU, float64((middle-start).Microseconds())/total)
		cpu = append(cpu, float64((processCPU(b)-middle).Microseconds())/total)
		ratios = append(ratios, us[len(us)-1]/them[len(them)-1])
	}
	b.StopTimer()
	b.ReportMetric(median(us), "msg/s")
	b.ReportMetric(median(them), "bare-msg/s")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(median(cpu), "cpu-us/msg")
	b.ReportMetric(median(bareCPU), "bare-cpu-us/msg")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// processCPU is what this process has used so far. The embedded broker is part of it, a real one is not.
func processCPU(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// eventMessage is about what a consent event takes: 8 headers, 13 bytes of key, 205 of value.
func eventMessage(topic string, i int) stream.Message {
	value := make([]byte, 205)
	for j := range value {
		value[j] = byte('a' + j%26)
	}
	h := func(key, value string) stream.Header { return stream.Header{Key: key, Value: []byte(value)} }
	return stream.Message{
		Topic: topic, Partition: stream.AnyPartition, Key: []byte(fmt.Sprintf("subject-%05d", i%100_000)), Value: value,
		Headers: []stream.Header{
			h("ce_specversion", "1.0"), h("ce_id", fmt.Sprintf("%020d", i)), h("ce_source", "/gateway/1"),
			h("ce_type", "io.kelisim.consent.granted.v1"), h("ce_time", "2026-01-02T03:04:05.678Z"),
			h("ce_purposes", "promotion,research"), h("ce_partitionkey", "subject"), h("content-type", "application/json"),
		},
	}
}

func bareClient(b *testing.B, broker *testenv.Broker) *kafka.Client {
	transport := &kafka.Transport{MetadataTTL: time.Second}
	b.Cleanup(transport.CloseIdleConnections)
	return &kafka.Client{Addr: kafka.TCP(broker.Addrs()...), Transport: transport}
}

func produceBare(ctx context.Context, b *testing.B, c *kafka.Client, topic string, partition int, messages []stream.Message) {
	require.NoError(b, tryBare(ctx, c, topic, partition, messages))
}

func tryBare(ctx context.Context, c *kafka.Client, topic string, partition int, messages []stream.Message) error {
	records := make([]kafka.Record, len(messages))
	for i, m := range messages {
		headers := make([]kafka.Header, len(m.Headers))
		for j, h := range m.Headers {
			headers[j] = kafka.Header{Key: h.Key, Value: h.Value}
		}
		records[i] = kafka.Record{Key: kafka.NewBytes(m.Key), Value: kafka.NewBytes(m.Value), Headers: headers}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	res, err := c.Produce(ctx, &kafka.ProduceRequest{
		Topic: topic, Partition: partition, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(records...),
	})
	if err != nil {
		return err
	}
	return res.Error
}
