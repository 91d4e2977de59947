//go:build !real

package stream_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/kafkaproxy"
	"github.com/kelisim/kelisim/internal/testenv"
)

// Answers that a healthy broker does not give are injected, so these tests have no real broker.

func TestPassingErrorsAreRetriedUntilTheyPass(t *testing.T) {
	testenv.Parallel(t)
	for _, e := range []*kerr.Error{
		kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend,
		kerr.RequestTimedOut, kerr.KafkaStorageError, kerr.UnknownTopicOrPartition, kerr.UnknownServerError, kerr.CorruptMessage,
	} {
		t.Run(e.Message, func(t *testing.T) {
			b, topic, p := faulty(t)
			b.Fake().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: e, Count: 3})
			for i := range 3 {
				ack, err := p.Publish(within(t), message(topic, "s", fmt.Sprint(i)))
				require.NoError(t, err)
				require.EqualValues(t, i, ack.Offset)
			}
			requireCounting(t, valuesOf(readLog(t, b, topic), "s"), 3)
		})
	}
}

func TestProducerIDIsAskedForUntilThereIsOne(t *testing.T) {
	b, topic, p := faulty(t)
	fault := b.Fake().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true, Err: kerr.CoordinatorLoadInProgress, Count: 3})
	_, err := p.Publish(within(t), message(topic, "s", "0"))
	require.NoError(t, err)
	require.EqualValues(t, 3, fault.Hits())
}

func TestIdempotenceNeedsNoTransactionCoordinator(t *testing.T) {
	b, topic, p := faulty(t)
	fault := b.Fake().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.FindCoordinator}, Count: -1})
	_, err := p.Publish(within(t), message(topic, "s", "0"))
	require.NoError(t, err)
	require.Zero(t, fault.Hits())
}

// TestBrokerThatForgotTheProducerIsMetUnderANewEpoch: the first attempt is refused for its sequence, so nothing of it is
// in the log, and the caller need not hear of it.
func TestBrokerThatForgotTheProducerIsMetUnderANewEpoch(t *testing.T) {
	for _, c := range []struct {
		err     *kerr.Error
		sameID  bool
		because string
	}{
		{kerr.OutOfOrderSequenceNumber, true, "the next epoch of the same id"},
		{kerr.UnknownProducerID, true, "the next epoch of the same id"},
		{kerr.InvalidProducerEpoch, false, "a later epoch than ours is known: a new id"},
	} {
		t.Run(c.err.Message, func(t *testing.T) {
			b, topic, p := faulty(t)
			warmUp(t, p, topic, 0)
			b.Fake().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: c.err})
			warmUp(t, p, topic, 0)
			log := readLog(t, b, topic)
			require.Len(t, log, 2)
			require.Equal(t, c.sameID, log[0].ProducerID == log[1].ProducerID, c.because)
			if c.sameID {
				require.Equal(t, log[0].ProducerEpoch+1, log[1].ProducerEpoch)
			}
		})
	}
}

// TestBatchInDoubtIsNeverSentUnderANewIdentity: the answer to the first attempt is lost, and then the broker says that
// it does not know the producer. The event may be in the log; sending it as somebody else could double it.
func TestBatchInDoubtIsNeverSentUnderANewIdentity(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "faults", Config: appendTime})
	proxy := kafkaproxy.New(func(n int) kafkaproxy.Fault { return kafkaproxy.Fault{Cut: n == 2} })
	p := producer(t, b, through(proxy))
	_, err := p.Publish(within(t), message(topic, "s", "0"))
	require.NoError(t, err)

	produced, last := 0, kmsg.Request(nil)
	b.Fake().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.OutOfOrderSequenceNumber,
		When: func(req kmsg.Request) bool { // asked more than once per request
			if req != last {
				last = req
				produced++
			}
			return produced == 2
		}})
	_, err = p.Publish(within(t), message(topic, "s", "1"))
	require.ErrorIs(t, err, stream.ErrUnknownOutcome)
	_, err = p.Publish(within(t), message(topic, "s", "2"))
	require.NoError(t, err)
	require.Equal(t, 4, proxy.Produced(), "one attempt and one repeat, no third under another name")
	requireCounting(t, valuesOf(readLog(t, b, topic), "s"), 3)
}

func TestFollowersOfALostMessageAreHeldBackAndOthersGoOn(t *testing.T) {
	testenv.Parallel(t)
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "faults", Config: appendTime})
	p := producer(t, b, func(c *stream.ProducerConfig) {
		c.RequestTimeout, c.DeliveryTimeout = chaosPatience, 6*chaosPatience
	})
	warmUp(t, p, topic, 0)
	attempted := make(chan struct{})
	fault := b.Fake().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.RequestTimedOut, Count: -1,
		When: closeOnce(attempted)})
	lost, follower, other := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	publish := func(key string, outcome chan error) {
		p.PublishAsync(within(t), message(topic, key, "v"), func(_ stream.Ack, err error) {
			fault.Remove() // well again as soon as the first is given up
			outcome <- err
		})
	}
	publish("s", lost)
	<-attempted
	later := time.AfterFunc(4*chaosPatience, func() { // behind it, and with more time left than it has
		publish("s", follower)
		publish("o", other)
	})
	defer later.Stop()
	require.ErrorIs(t, <-lost, stream.ErrUnknownOutcome)
	require.ErrorIs(t, <-follower, stream.ErrNotSent)
	require.NoError(t, <-other)
}

func TestForbiddenTopicIsRefusedAtOnce(t *testing.T) {
	b, topic, p := faulty(t)
	fault := b.Fake().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.TopicAuthorizationFailed, Count: -1})
	_, err := p.Publish(within(t), message(topic, "s", "0"))
	require.ErrorIs(t, err, stream.ErrRefused)
	require.EqualValues(t, 1, fault.Hits())
	fault.Remove()
	_, err = p.Publish(within(t), message(topic, "s", "0"))
	require.NoError(t, err)
}

func TestMessageThatCannotBeDeliveredInTimeIsGivenUp(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "faults", Config: appendTime})
	p := producer(t, b, func(c *stream.ProducerConfig) { c.DeliveryTimeout = 200 * time.Millisecond })
	warmUp(t, p, topic, 0)
	fault := b.Fake().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.NotLeaderForPartition, Count: -1})
	start := time.Now()
	_, err := p.Publish(within(t), message(topic, "s", "0"))
	require.ErrorIs(t, err, stream.ErrUnknownOutcome, "a broker that lost its leadership may have appended it")
	require.Less(t, time.Since(start), 5*time.Second)
	require.Greater(t, fault.Hits(), 3, "it was tried")
	fault.Remove()
	_, err = p.Publish(within(t), message(topic, "s", "1"))
	require.NoError(t, err)
	require.Equal(t, []string{"1"}, valuesOf(readLog(t, b, topic), "s"))
}

func TestCallerWhoGivesUpOnAMessageUnderWayIsToldSo(t *testing.T) {
	b, topic, p := faulty(t)
	warmUp(t, p, topic, 0)
	attempted := make(chan struct{})
	fault := b.Fake().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.NotEnoughReplicas, Count: -1,
		When: closeOnce(attempted)})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-attempted
		cancel()
	}()
	_, err := p.Publish(ctx, message(topic, "s", "0"))
	require.ErrorIs(t, err, stream.ErrUnknownOutcome)
	require.ErrorIs(t, err, context.Canceled)
	fault.Remove()
	_, err = p.Publish(within(t), message(topic, "s", "1"))
	require.NoError(t, err)
	requireCounting(t, valuesOf(readLog(t, b, topic), "s"), 2) // it was delivered all the same, and before the next
}

// faulty gives a Kafka of the test's own, a topic and a producer.
func faulty(t *testing.T) (*testenv.Broker, string, *stream.Producer) {
	t.Helper()
	b := testenv.StartKafka(t, testenv.KafkaConfig{})
	topic := b.Topic(t, testenv.TopicSpec{Name: "faults", Config: appendTime})
	return b, topic, producer(t, b)
}

// closeOnce matches every request and closes the channel at the first.
func closeOnce(c chan struct{}) func(kmsg.Request) bool {
	var n atomic.Int32
	return func(kmsg.Request) bool {
		if n.Add(1) == 1 {
			close(c)
		}
		return true
	}
}
