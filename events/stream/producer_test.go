package stream_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestPublishedMessageStandsWhereTheAckSays(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "events", Partitions: 4, Config: appendTime})
	p := producer(t, b)
	before := time.Now().Add(-time.Millisecond) // append times are cut to the millisecond
	at := time.Now().Add(-time.Hour)
	ack, err := p.Publish(within(t), stream.Message{
		Topic: topic, Partition: stream.AnyPartition, Key: []byte("s1"), Value: []byte("granted"), Time: at,
		Headers: []stream.Header{{Key: "ce_id", Value: []byte("1")}, {Key: "ce_id", Value: nil}, {Key: "ce_x", Value: []byte{}}},
	})
	require.NoError(t, err)
	require.Equal(t, stream.Partition([]byte("s1"), 4), ack.Partition)
	require.False(t, ack.Appended.Before(before), "appended before it was sent")
	require.False(t, ack.Appended.After(time.Now()), "appended after it was acknowledged")

	log := readLog(t, b, topic)
	require.Len(t, log, 1)
	r := log[0]
	require.Equal(t, ack.Partition, r.Partition)
	require.Equal(t, ack.Offset, r.Offset)
	require.Equal(t, ack.Appended, r.Timestamp.UTC())
	require.Equal(t, "s1", string(r.Key))
	require.Equal(t, "granted", string(r.Value))
	require.Len(t, r.Headers, 3)
	require.Equal(t, []byte("1"), r.Headers[0].Value)
	require.Nil(t, r.Headers[1].Value)
	require.NotNil(t, r.Headers[2].Value)
	require.Empty(t, r.Headers[2].Value)
}

func TestProducersOwnTimeStaysOnACreateTimeTopic(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "state"})
	p := producer(t, b)
	at := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	ack, err := p.Publish(within(t), stream.Message{Topic: topic, Partition: 0, Value: nil, Key: []byte{}, Time: at})
	require.NoError(t, err)
	require.True(t, ack.Appended.IsZero())
	require.False(t, p.Clock().Known, "nothing was measured")
	r := readLog(t, b, topic)[0]
	require.Equal(t, at.UTC(), r.Timestamp.UTC())
	require.Nil(t, r.Value, "null")
	require.NotNil(t, r.Key, "empty, not null")
}

func TestOrderIsKeptPerKeyAmongManyPublishers(t *testing.T) {
	const publishers, each = 20, 50
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "events", Partitions: 3, Config: appendTime})
	p := producer(t, b)
	ctx := within(t)
	var wg sync.WaitGroup
	for k := range publishers {
		wg.Go(func() {
			var done sync.WaitGroup
			for i := range each {
				done.Add(1)
				p.PublishAsync(ctx, message(topic, fmt.Sprint("s", k), fmt.Sprint(i)), func(_ stream.Ack, err error) {
					defer done.Done()
					if err != nil {
						t.Error(err)
					}
				})
			}
			done.Wait()
		})
	}
	wg.Wait()
	log := readLog(t, b, topic)
	require.Len(t, log, publishers*each)
	for k := range publishers {
		requireCounting(t, valuesOf(log, fmt.Sprint("s", k)), each)
	}
}

func TestPublishAllAcknowledgesEveryMessageAtItsPosition(t *testing.T) {
	const n = 5_000
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "events", Partitions: 8, Config: appendTime})
	p := producer(t, b)
	messages := make([]stream.Message, n)
	for i := range messages {
		messages[i] = message(topic, fmt.Sprint("s", i%100), fmt.Sprint(i/100))
	}
	acks, err := p.PublishAll(within(t), messages)
	require.NoError(t, err)
	at := make(map[stream.Ack]string)
	for i, a := range acks {
		at[stream.Ack{Partition: a.Partition, Offset: a.Offset}] = string(messages[i].Key) + "=" + string(messages[i].Value)
	}
	log := readLog(t, b, topic)
	require.Len(t, log, n)
	require.Len(t, at, n, "two messages at one position")
	for _, r := range log {
		require.Equal(t, at[stream.Ack{Partition: r.Partition, Offset: r.Offset}], string(r.Key)+"="+string(r.Value))
	}
	for k := range 100 {
		requireCounting(t, valuesOf(log, fmt.Sprint("s", k)), n/100)
	}
}

func TestUnpublishableMessageIsRefusedAndSaysWhy(t *testing.T) {
	testenv.Parallel(t)
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "events", Partitions: 2})
	p := producer(t, b, func(c *stream.ProducerConfig) { c.DeliveryTimeout = 300 * time.Millisecond })
	for name, c := range map[string]struct {
		m    stream.Message
		want error
		text string
	}{
		"no key":        {stream.Message{Topic: topic, Partition: stream.AnyPartition}, stream.ErrRefused, "neither a key nor a partition"},
		"no partition":  {stream.Message{Topic: topic, Partition: 2, Key: []byte("secret")}, stream.ErrRefused, "2 partitions"},
		"too large":     {stream.Message{Topic: topic, Partition: 0, Value: make([]byte, 1<<20)}, stream.ErrRefused, "bytes"},
		"no such topic": {stream.Message{Topic: "nowhere", Partition: 0}, stream.ErrNotSent, "nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			ack, err := p.Publish(within(t), c.m)
			require.Zero(t, ack)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.text)
			require.NotContains(t, err.Error(), "secret", "keys are subjects")
			var one *stream.PublishError
			require.ErrorAs(t, err, &one)
			require.Equal(t, c.m.Topic, one.Topic)
		})
	}
}

func TestPublishAllTellsWhichMessagesFailed(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "events", Config: appendTime})
	p := producer(t, b)
	messages := []stream.Message{message(topic, "a", "0"), {Topic: topic, Partition: 9}, message(topic, "a", "1")}
	acks, err := p.PublishAll(within(t), messages)
	var all *stream.PublishAllError
	require.ErrorAs(t, err, &all)
	require.Equal(t, 3, all.Total)
	require.Len(t, all.Failed, 1)
	require.Equal(t, 1, all.Failed[0].Index)
	require.ErrorIs(t, err, stream.ErrRefused)
	require.EqualValues(t, []int64{0, 0, 1}, []int64{acks[0].Offset, acks[1].Offset, acks[2].Offset})
	require.Zero(t, acks[1])
}

func TestMessageMayBeReusedWhenPublishHasReturned(t *testing.T) {
	b := testenv.StartKafka(t, testenv.KafkaConfig{})
	topic := b.Topic(t, testenv.TopicSpec{Name: "events", Config: appendTime})
	p := producer(t, b)
	_, err := p.Publish(within(t), message(topic, "s", "0"))
	require.NoError(t, err)
	b.Stop(t)
	m := message(topic, "s", "1")
	m.Headers = []stream.Header{{Key: "h", Value: []byte("1")}}
	acked := make(chan error, 1)
	p.PublishAsync(within(t), m, func(_ stream.Ack, err error) { acked <- err })
	copy(m.Key, "X")
	copy(m.Value, "X")
	copy(m.Headers[0].Value, "X")
	b.Start(t)
	require.NoError(t, <-acked)
	log := readLog(t, b, topic)
	requireCounting(t, valuesOf(log, "s"), 2)
	require.Equal(t, "1", string(log[1].Headers[0].Value))
}

func TestMoreThanThereIsRoomForIsPublishedAllTheSame(t *testing.T) {
	const n, size = 200, 20_000 // 4 MB, of which 1 MB may queue
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "events", Partitions: 2, Config: appendTime})
	p := producer(t, b, func(c *stream.ProducerConfig) { c.QueuedBytes = 1 })
	value := make([]byte, size)
	messages := make([]stream.Message, n)
	for i := range messages {
		messages[i] = stream.Message{Topic: topic, Partition: int32(i % 2), Value: value}
	}
	acks, err := p.PublishAll(within(t), messages)
	require.NoError(t, err)
	for i, a := range acks {
		require.EqualValues(t, i/2, a.Offset)
	}
}

func TestNothingIsPublishedForACallerWhoHasGone(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "events", Config: appendTime})
	p := producer(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.Publish(ctx, message(topic, "s", "0"))
	require.ErrorIs(t, err, stream.ErrNotSent)
	_, err = p.PublishAll(ctx, []stream.Message{message(topic, "s", "0"), message(topic, "s", "1")})
	require.ErrorIs(t, err, stream.ErrNotSent)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, readLog(t, b, topic))
}

// TestStampsAreTakenByTheBrokersClock runs on one machine, where both clocks are the same.
func TestStampsAreTakenByTheBrokersClock(t *testing.T) {
	b := testenv.Kafka(t)
	ticks := b.Topic(t, testenv.TopicSpec{Name: "ticks", Partitions: 2, Config: appendTime})
	p := producer(t, b)
	require.False(t, p.Clock().Known)
	require.True(t, p.Now().Before(time.Now().Add(-400*time.Millisecond)), "an unknown clock may be ahead")
	require.NoError(t, p.MeasureClock(within(t), ticks))
	require.NoError(t, p.MeasureClock(within(t), ticks))

	reading := p.Clock()
	require.True(t, reading.Known)
	require.LessOrEqual(t, reading.Behind, time.Millisecond)
	require.GreaterOrEqual(t, reading.Ahead, time.Duration(0))
	require.False(t, p.Now().After(time.Now()))
	ack, err := p.Publish(within(t), stream.Message{Topic: ticks, Partition: 0, Time: p.Now()})
	require.NoError(t, err)
	require.False(t, p.Now().Before(ack.Appended.Add(-time.Second)))

	state := b.Topic(t, testenv.TopicSpec{Name: "state"})
	require.ErrorContains(t, p.MeasureClock(within(t), state), "not a LogAppendTime topic")
}

func TestCloseDeliversWhatIsQueuedAndLeavesNothingBehind(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "events", Config: appendTime})
	b.Admin(t) // its goroutines are not ours
	ignore := goleak.IgnoreCurrent()
	p, err := stream.NewProducer(stream.ProducerConfig{Config: stream.Config{Brokers: b.Addrs()}})
	require.NoError(t, err)
	const n = 500
	var mu sync.Mutex
	acked := 0
	for i := range n {
		p.PublishAsync(within(t), message(topic, "a", fmt.Sprint(i)), func(_ stream.Ack, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				acked++
			}
		})
	}
	require.NoError(t, p.Close(within(t)))
	require.Equal(t, n, acked, "when Close has returned, every callback has been called")
	require.NoError(t, p.Close(within(t)), "closing twice is harmless")
	_, err = p.Publish(within(t), message(topic, "a", "late"))
	require.ErrorIs(t, err, stream.ErrClosed)
	require.ErrorIs(t, err, stream.ErrNotSent)
	goleak.VerifyNone(t, ignore)
	requireCounting(t, valuesOf(readLog(t, b, topic), "a"), n)
}

func TestClosingWithoutABrokerFailsWhatIsQueuedAsNotSent(t *testing.T) {
	b := testenv.StartKafka(t, testenv.KafkaConfig{})
	topic := b.Topic(t, testenv.TopicSpec{Name: "events", Config: appendTime})
	refused := make(chan struct{}, 1000)
	p, err := stream.NewProducer(stream.ProducerConfig{Config: stream.Config{Brokers: b.Addrs(), Dial: tellingFailures(refused)}})
	require.NoError(t, err)
	_, err = p.Publish(within(t), message(topic, "a", "0"))
	require.NoError(t, err)
	b.Stop(t)
	// The first message may meet the connection that has just died: of those behind it not a byte leaves.
	first := make(chan error, 1)
	p.PublishAsync(within(t), message(topic, "a", "1"), func(_ stream.Ack, err error) { first <- err })
	<-refused
	<-refused // one of the two was for the first message: it has been tried
	second := make(chan error, 1)
	p.PublishAsync(within(t), message(topic, "b", "2"), func(_ stream.Ack, err error) { second <- err })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.Close(ctx), context.DeadlineExceeded)
	err = <-first
	require.True(t, errors.Is(err, stream.ErrNotSent) || errors.Is(err, stream.ErrUnknownOutcome), "%v", err)
	require.ErrorIs(t, <-second, stream.ErrNotSent)
}

func TestCallerWhoGivesUpTakesAQueuedMessageBack(t *testing.T) {
	b := testenv.StartKafka(t, testenv.KafkaConfig{})
	topic := b.Topic(t, testenv.TopicSpec{Name: "events", Config: appendTime})
	p := producer(t, b)
	_, err := p.Publish(within(t), message(topic, "a", "0"))
	require.NoError(t, err)
	b.Stop(t)
	stuck := make(chan error, 1)
	p.PublishAsync(within(t), message(topic, "a", "1"), func(_ stream.Ack, err error) { stuck <- err })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = p.Publish(ctx, message(topic, "b", "withdrawn"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.True(t, errors.Is(err, stream.ErrNotSent) || errors.Is(err, stream.ErrUnknownOutcome), "%v", err)
	notSent := errors.Is(err, stream.ErrNotSent)
	b.Start(t)
	require.NoError(t, <-stuck, "others are delivered when the broker is back")
	_, err = p.Publish(within(t), message(topic, "a", "2"))
	require.NoError(t, err)
	log := readLog(t, b, topic)
	requireCounting(t, valuesOf(log, "a"), 3)
	if notSent {
		require.Empty(t, valuesOf(log, "b"), "reported as not sent, and in the log")
	}
}

func TestPartitionIsTheJavaClientsAndKafkaGos(t *testing.T) {
	for i := range 2_000 {
		key := []byte(fmt.Sprintf("subject-%06d", i*7919%1_000_000))[i%14:]
		for _, n := range []int{1, 2, 8, 64, 1000} {
			partitions := make([]int, n)
			for i := range partitions {
				partitions[i] = i
			}
			want := kafka.Murmur2Balancer{}.Balance(kafka.Message{Key: key}, partitions...)
			require.EqualValues(t, want, stream.Partition(key, n))
		}
	}
}

// tellingFailures dials, and sends on failed whenever that does not work.
func tellingFailures(failed chan<- struct{}) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			failed <- struct{}{}
		}
		return conn, err
	}
}

func message(topic, key, value string) stream.Message {
	return stream.Message{Topic: topic, Partition: stream.AnyPartition, Key: []byte(key), Value: []byte(value)}
}

// requireCounting wants "0", "1", ... up to n-1: each once, and in order.
func requireCounting(t testing.TB, values []string, n int) {
	t.Helper()
	require.Len(t, values, n)
	for i, v := range values {
		require.Equal(t, fmt.Sprint(i), v, "position %d", i)
	}
}
