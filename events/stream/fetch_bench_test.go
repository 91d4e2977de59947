package stream_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
)

const (
	walkPartitions = 8
	walkRecords    = 400_000
)

// BenchmarkFetchWalk reads the standard event (8 headers, 13 bytes of key, about 205 of data) and walks
// every header, with our fetcher and with kafka.Reader, one per partition. The figures that count are
// records/s, CPU per record of this whole process (embedded: the broker's too) and allocations.
func BenchmarkFetchWalk(b *testing.B) {
	broker := testenv.Kafka(b)
	topic := broker.Topic(b, testenv.TopicSpec{Name: "walk", Partitions: walkPartitions})
	fillStandard(b, broker, topic)
	b.Run("stream", func(b *testing.B) {
		for b.Loop() {
			r := reader(b, broker, topic)
			measure(b, func() { walkOurs(b, r) })
			r.Close()
		}
	})
	b.Run("kafka.Reader", func(b *testing.B) {
		for b.Loop() {
			measure(b, func() { walkTheirs(b, broker, topic) })
		}
	})
}

func walkOurs(b *testing.B, r *stream.Reader) {
	require.NoError(b, r.Start(b.Context(), earliest(walkPartitions)))
	for n := 0; n < walkRecords; {
		f, err := r.Poll(b.Context())
		require.NoError(b, err)
		for i := range f.Batches {
			records := f.Batches[i].Records
			for j := range records {
				size := 0
				for h := records[j].Headers; h.Len() > 0; {
					k, v := h.Next()
					size += len(k) + len(v)
				}
				if size == 0 {
					b.Fatal("no headers")
				}
			}
			n += len(records)
		}
		f.Release()
	}
}

func walkTheirs(b *testing.B, broker *testenv.Broker, topic string) {
	done := make(chan error, walkPartitions)
	for p := range walkPartitions {
		go func() {
			r := kafka.NewReader(kafka.ReaderConfig{
				Brokers: broker.Addrs(), Topic: topic, Partition: p, QueueCapacity: 1000, MaxBytes: 4 << 20,
				MaxWait: 500 * time.Millisecond,
			})
			defer r.Close()
			for range walkRecords / walkPartitions {
				m, err := r.ReadMessage(b.Context())
				if err != nil || len(m.Headers) == 0 {
					done <- fmt.Errorf("%d headers: %w", len(m.Headers), err)
					return
				}
			}
			done <- nil
		}()
	}
	for range walkPartitions {
		require.NoError(b, <-done)
	}
}

// measure runs a walk and reports what it cost per record.
func measure(b *testing.B, walk func()) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	cpu, began := cpuTime(b), time.Now()
	walk()
	took, cpu := time.Since(began), cpuTime(b)-cpu
	runtime.ReadMemStats(&after)
	b.ReportMetric(walkRecords/took.Seconds(), "records/s")
	b.ReportMetric(float64(cpu.Nanoseconds())/walkRecords, "cpu-ns/record")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/walkRecords, "allocs/record")
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// fillStandard writes walkRecords standard events.
func fillStandard(b *testing.B, broker *testenv.Broker, topic string) {
	cl := writer(b, broker, kgo.MaxBufferedRecords(20_000), kgo.ProducerLinger(5*time.Millisecond), kgo.ProducerBatchMaxBytes(512<<10))
	data := bytes.Repeat([]byte(`{"evidence":"x"}`), 13)
	headers := []kgo.RecordHeader{
		{Key: "ce_specversion", Value: []byte("1.0")}, {Key: "ce_id", Value: []byte("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")},
		{Key: "ce_source", Value: []byte("/preference-centre")}, {Key: "ce_type", Value: []byte("io.kelisim.consent.withdrawn.v1")},
		{Key: "ce_subject", Value: []byte("subject-00001")}, {Key: "ce_time", Value: []byte("2026-01-02T03:04:05.678Z")},
		{Key: "ce_purposes", Value: []byte("promotion,research")}, {Key: "content-type", Value: []byte("application/json")},
	}
	for i := range walkRecords {
		cl.Produce(context.Background(), &kgo.Record{
			Topic: topic, Partition: int32(i % walkPartitions), Key: fmt.Appendf(nil, "subject-%05d", i%100_000),
			Value: data, Headers: headers,
		}, func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	require.NoError(b, cl.Flush(b.Context()))
}

// BenchmarkIdle holds a group member of 64 partitions in which nothing happens, and reports what that
// takes of one core; embedded, the broker's part is in it.
func BenchmarkIdle(b *testing.B) {
	const idle = 5 * time.Second
	broker := testenv.Kafka(b)
	topic := broker.Topic(b, testenv.TopicSpec{Name: "idle", Partitions: 64})
	for b.Loop() {
		l := newLedger()
		m := join(b, broker, stream.ConsumerConfig{
			Group: topic, Topic: topic, MaxWait: 500 * time.Millisecond,
			SessionTimeout: 6 * time.Second, HeartbeatInterval: 500 * time.Millisecond,
		}, l.handle("idle"))
		l.awaitAssigned(b, map[string]int{"idle": 64})
		<-time.After(time.Second) // until it is idle
		before := cpuTime(b)
		<-time.After(idle)
		b.ReportMetric(100*float64(cpuTime(b)-before)/float64(idle), "%core")
		require.NoError(b, m.stop())
	}
}
