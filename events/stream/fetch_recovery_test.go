package stream_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
)

// aboutASecond is how soon reading goes on after a fault, with room for a busy machine.
const aboutASecond = 2500 * time.Millisecond

func TestReadingGoesOnAfterALeaderMoved(t *testing.T) {
	const partitions = 3
	b := testenv.Kafka(t, testenv.WithBrokers(3))
	topic := b.Topic(t, testenv.TopicSpec{Name: "moves", Partitions: partitions})
	cl := writer(t, b)
	l := newLedger()
	join(t, b, stream.ConsumerConfig{Group: topic, Topic: topic}, l.handle("m"))
	written := 0
	for round := range 4 {
		for p := range partitions {
			b.MoveLeader(t, topic, p, (p+round)%3)
		}
		write(t, cl, topic, partitions, written, written+20)
		wrote := time.Now()
		written += 20
		l.await(t, partitions*written)
		require.Less(t, l.fresh.Sub(wrote), aboutASecond)
	}
}

func TestReadingGoesOnAfterTheBrokerRestarted(t *testing.T) {
	testenv.Parallel(t)
	b := testenv.StartKafka(t, testenv.KafkaConfig{})
	topic := b.Topic(t, testenv.TopicSpec{Name: "restart", Partitions: 2})
	cl := writer(t, b)
	l := newLedger()
	join(t, b, stream.ConsumerConfig{Group: topic, Topic: topic}, l.handle("m"))
	write(t, cl, topic, 2, 0, 10)
	l.await(t, 2*10)
	for round := 1; round < 4; round++ {
		b.Kill(t)
		b.Start(t)
		write(t, cl, topic, 2, 10*round, 10*round+10)
		wrote := time.Now()
		l.await(t, 2*(10*round+10))
		require.Less(t, l.fresh.Sub(wrote), aboutASecond)
	}
}

func TestReadingGoesOnWhileOneOfThreeBrokersIsDown(t *testing.T) {
	testenv.Parallel(t)
	const partitions = 6
	b := testenv.StartKafka3(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "down", Partitions: partitions})
	cl := writer(t, b)
	l := newLedger()
	for i := range 2 {
		name := fmt.Sprint("m", i)
		join(t, b, stream.ConsumerConfig{Group: topic, Topic: topic}, l.handle(name))
	}
	l.awaitAssigned(t, map[string]int{"m0": 3, "m1": 3})
	for node := range 3 {
		b.Stop(t, node)
		write(t, cl, topic, partitions, 20*node, 20*node+10)
		l.await(t, partitions*(20*node+10))
		b.Start(t, node)
		write(t, cl, topic, partitions, 20*node+10, 20*node+20)
		l.await(t, partitions*(20*node+20))
	}
}

func TestPositionThatTheLogLostIsAnAlarmAndNothingIsSkipped(t *testing.T) {
	testenv.Parallel(t)
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "lost", Partitions: 3})
	cl := writer(t, b)
	write(t, cl, topic, 3, 0, 50)
	deleteBefore(t, b, topic, 0, 30)
	alarms := make(chan *stream.OutOfRangeError, 10)
	r := reader(t, b, topic, func(c *stream.ReaderConfig) {
		c.Watch.OutOfRange = func(e *stream.OutOfRangeError) { alarms <- e }
	})
	require.NoError(t, r.Start(t.Context(), map[int32]int64{0: 10, 1: 0, 2: 77}))
	want := map[int32]stream.OutOfRangeError{
		0: {Topic: topic, Partition: 0, Offset: 10, LogStart: 30, LogEnd: 50},
		2: {Topic: topic, Partition: 2, Offset: 77, LogStart: 0, LogEnd: 50},
	}
	got, met := seen{}, map[int32]stream.OutOfRangeError{}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for len(met) < 2 || got.count() < 50 {
		f, err := r.Poll(ctx)
		if err != nil {
			var outside *stream.OutOfRangeError
			require.ErrorAs(t, err, &outside)
			require.ErrorIs(t, err, stream.ErrOutOfRange)
			met[outside.Partition] = *outside
			require.Equal(t, *outside, *<-alarms)
			continue
		}
		got.add(f)
	}
	require.Equal(t, want, met)
	require.Len(t, got[1], 50, "the partition that is well is read on")
	require.Empty(t, got[0])
	require.Empty(t, got[2])
	for range 3 { // it is said once, and the partition stands still
		f, err := r.Poll(ctx)
		require.NoError(t, err)
		f.Release()
	}

	require.NoError(t, r.Start(ctx, map[int32]int64{0: 30})) // whoever answers for the gap says go on
	readAll(t, r, got, 70)
	require.Equal(t, "30", got[0][0])
}

func TestBatchAboveTheLimitsComesThroughAllTheSame(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "large", Partitions: 4})
	cl := writer(t, b)
	for round := range 5 {
		for p := range int32(4) {
			value := fmt.Sprint(round, "-", strings.Repeat("x", 40_000))
			require.NoError(t, cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: p, Value: []byte(value)}).FirstErr())
		}
	}
	r := reader(t, b, topic, func(c *stream.ReaderConfig) { c.MaxFetchBytes, c.PartitionMaxBytes = 5_000, 1_000 })
	require.NoError(t, r.Start(t.Context(), earliest(4)))
	got := seen{}
	readAll(t, r, got, 20)
	for p := range int32(4) {
		require.Len(t, got[p], 5)
	}
}

func TestAnswerAboveTheFrameLimitIsRefusedByName(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "frame"})
	require.NoError(t, writer(t, b).ProduceSync(t.Context(),
		&kgo.Record{Topic: topic, Value: []byte(strings.Repeat("x", 100_000))}).FirstErr())
	r := reader(t, b, topic, func(c *stream.ReaderConfig) {
		c.MaxFetchBytes, c.PartitionMaxBytes, c.MaxFrameBytes = 10_000, 10_000, 50_000
	})
	require.NoError(t, r.Start(t.Context(), earliest(1)))
	_, err := r.Poll(t.Context())
	require.ErrorIs(t, err, stream.ErrFrameTooLarge)
	var refused *stream.PartitionError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, topic, refused.Topic)
}

// deleteBefore deletes records by command, as retention does by time.
func deleteBefore(t *testing.T, b *testenv.Broker, topic string, partition int32, offset int64) {
	t.Helper()
	var offsets kadm.Offsets = make(kadm.Offsets)
	offsets.AddOffset(topic, partition, offset, -1)
	res, err := b.Admin(t).DeleteRecords(t.Context(), offsets)
	require.NoError(t, err)
	require.NoError(t, res.Error())
}
