package stream_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/kafkaproxy"
	"github.com/kelisim/kelisim/internal/testenv"
)

// The network of these tests loses answers, cuts connections and delivers requests late, on the way to a broker that
// never fails. Our producer and kafka-go's Writer go through the same, and the tests want to see the Writer double and
// reorder: so it stays proved that the network is bad enough to show it.

const (
	chaosSubjects = 4  // publishers side by side, one key each
	chaosEvents   = 30 // published one after the other by each
	// chaosPatience is how long a client waits for an answer; requests are held for longer than that.
	chaosPatience = 150 * time.Millisecond
	chaosHold     = 250 * time.Millisecond
)

func TestBadNetworkNeitherDoublesNorReorders(t *testing.T) {
	testenv.Parallel(t)
	b := testenv.Kafka(t)
	for round := range chaosRounds() {
		seed := uint64(round)
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			topic := b.Topic(t, testenv.TopicSpec{Name: "chaos", Partitions: 2, Config: appendTime})
			proxy := kafkaproxy.New(badNetwork(seed))
			p, err := stream.NewProducer(stream.ProducerConfig{
				Config:         stream.Config{Brokers: b.Addrs(), Dial: proxy.Dial},
				RequestTimeout: chaosPatience,
			})
			require.NoError(t, err)
			publishAlternately(t, func(ctx context.Context, key, value string) error {
				_, err := p.Publish(ctx, message(topic, key, value))
				return err
			})
			require.NoError(t, p.Close(within(t)))
			proxy.Drain() // the late ones have arrived as well

			log := readLog(t, b, topic)
			require.Len(t, log, chaosSubjects*chaosEvents)
			for s := range chaosSubjects {
				requireCounting(t, valuesOf(log, fmt.Sprint("s", s)), chaosEvents)
			}
		})
	}
}

func TestSameNetworkMakesKafkaGosWriterDoubleAndReorder(t *testing.T) {
	testenv.Parallel(t)
	b := testenv.Kafka(t)
	var mu sync.Mutex
	doubled, reordered := 0, 0
	t.Run("rounds", func(t *testing.T) {
		for round := range chaosRounds() {
			seed := uint64(round)
			t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
				t.Parallel()
				topic := b.Topic(t, testenv.TopicSpec{Name: "chaos-writer", Partitions: 2, Config: appendTime})
				proxy := kafkaproxy.New(badNetwork(seed))
				transport := &kafka.Transport{Dial: proxy.Dial}
				w := &kafka.Writer{
					Addr: kafka.TCP(b.Addrs()...), Topic: topic, Balancer: kafka.Murmur2Balancer{}, RequiredAcks: kafka.RequireAll,
					BatchSize: 1, MaxAttempts: 50, WriteTimeout: chaosPatience, ReadTimeout: chaosPatience,
					WriteBackoffMin: time.Millisecond, WriteBackoffMax: 10 * time.Millisecond, Transport: transport,
				}
				publishAlternately(t, func(ctx context.Context, key, value string) error {
					return w.WriteMessages(ctx, kafka.Message{Key: []byte(key), Value: []byte(value)})
				})
				require.NoError(t, w.Close())
				transport.CloseIdleConnections()
				proxy.Drain()

				log := readLog(t, b, topic)
				mu.Lock()
				defer mu.Unlock()
				doubled += len(log) - chaosSubjects*chaosEvents
				for s := range chaosSubjects {
					reordered += backwards(valuesOf(log, fmt.Sprint("s", s)))
				}
			})
		}
	})
	t.Logf("kafka-go's Writer: %d events doubled, %d times an older event behind a newer one", doubled, reordered)
	require.Positive(t, doubled, "the network has become too good to prove anything: no event doubled")
	require.Positive(t, reordered, "the network has become too good to prove anything: no event behind a newer one")
}

// TestAnswerLostAgainAndAgainIsOneEvent loses every answer twice: the third copy is answered.
func TestAnswerLostAgainAndAgainIsOneEvent(t *testing.T) {
	testenv.Parallel(t)
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "lost", Config: appendTime})
	proxy := kafkaproxy.New(nil)
	p := producer(t, b, through(proxy))
	publishPatiently(t, p, message(topic, "s", "0"))
	proxy.Begin(func(n int) kafkaproxy.Fault {
		return kafkaproxy.Fault{LoseAnswer: n%3 == 1, Cut: n%3 == 2}
	})
	for i := 1; i < 6; i++ {
		ack, err := p.Publish(within(t), message(topic, "s", fmt.Sprint(i)))
		require.NoError(t, err)
		require.EqualValues(t, i, ack.Offset, "a copy's position is the first one's")
		require.False(t, ack.Appended.IsZero(), "and so is its append time")
	}
	require.GreaterOrEqual(t, proxy.Produced(), 15, "three times each, or more where the broker is slow")
	requireCounting(t, valuesOf(readLog(t, b, topic), "s"), 6)
}

// TestCopyThatArrivesLateStaysOut holds a request back until many others have passed: more than the five batches per
// producer that a broker remembers.
func TestCopyThatArrivesLateStaysOut(t *testing.T) {
	testenv.Parallel(t)
	for _, passed := range []int{0, 3, 20} {
		t.Run(fmt.Sprint(passed, " later"), func(t *testing.T) {
			b := testenv.Kafka(t)
			topic := b.Topic(t, testenv.TopicSpec{Name: "late", Config: appendTime})
			hold := make(chan struct{})
			proxy := kafkaproxy.New(nil)
			p, err := stream.NewProducer(stream.ProducerConfig{
				Config: stream.Config{Brokers: b.Addrs(), Dial: proxy.Dial}, RequestTimeout: chaosPatience,
			})
			require.NoError(t, err)
			publishPatiently(t, p, message(topic, "s", "0"))
			proxy.Begin(holding(1, hold))
			for i := range 1 + passed {
				_, err := p.Publish(within(t), message(topic, "s", fmt.Sprint(i+1)))
				require.NoError(t, err)
			}
			require.NoError(t, p.Close(within(t)))
			close(hold)
			proxy.Drain()
			requireCounting(t, valuesOf(readLog(t, b, topic), "s"), 2+passed)
		})
	}
}

// TestGivenUpMessageNeverStandsBehindALaterOne is why an identity is retired by its epoch: the producer gives a message
// up without knowing its fate, goes on, and then the message arrives after all.
func TestGivenUpMessageNeverStandsBehindALaterOne(t *testing.T) {
	testenv.Parallel(t)
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "given-up", Config: appendTime})
	hold := make(chan struct{})
	proxy := kafkaproxy.New(nil)
	var mu sync.Mutex
	held := true
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if held {
			return proxy.Dial(ctx, network, addr)
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	p, err := stream.NewProducer(stream.ProducerConfig{
		Config:         stream.Config{Brokers: b.Addrs(), Dial: dial},
		RequestTimeout: chaosPatience, DeliveryTimeout: 8 * chaosPatience,
	})
	require.NoError(t, err)
	publishPatiently(t, p, message(topic, "s", "withdrawn"))
	proxy.Begin(func(int) kafkaproxy.Fault { return kafkaproxy.Fault{Hold: hold} })
	_, err = p.Publish(within(t), message(topic, "s", "granted"))
	require.ErrorIs(t, err, stream.ErrUnknownOutcome)

	mu.Lock()
	held = false // the network is well again, for those who dial anew
	mu.Unlock()
	publishPatiently(t, p, message(topic, "s", "withdrawn again"))
	close(hold) // and now the lost ones arrive
	require.NoError(t, p.Close(within(t)))
	proxy.Drain()
	require.Equal(t, []string{"withdrawn", "withdrawn again"}, valuesOf(readLog(t, b, topic), "s"))
}

// chaosRounds is how many topics are written, each with another seed.
func chaosRounds() int {
	if testenv.Real() {
		return 12
	}
	return 2 // 240 events, some 60 of them hit
}

// badNetwork loses, cuts and delays produce requests at random.
func badNetwork(seed uint64) func(int) kafkaproxy.Fault {
	r := rand.New(rand.NewPCG(seed, 1))
	return func(int) kafkaproxy.Fault {
		switch r.IntN(20) {
		case 0:
			return kafkaproxy.Fault{LoseAnswer: true}
		case 1, 2:
			return kafkaproxy.Fault{Cut: true}
		case 3, 4:
			hold := make(chan struct{})
			time.AfterFunc(chaosHold, func() { close(hold) })
			return kafkaproxy.Fault{Hold: hold, Cut: r.IntN(2) == 0}
		}
		return kafkaproxy.Fault{}
	}
}

// holding holds the n-th produce request.
func holding(n int, hold <-chan struct{}) func(int) kafkaproxy.Fault {
	return func(i int) kafkaproxy.Fault {
		if i == n {
			return kafkaproxy.Fault{Hold: hold}
		}
		return kafkaproxy.Fault{}
	}
}

// publishAlternately has every subject publish 0, 1, 2 and so on, each after the acknowledgement of the one before.
func publishAlternately(t *testing.T, publish func(ctx context.Context, key, value string) error) {
	t.Helper()
	ctx := within(t)
	var wg sync.WaitGroup
	for s := range chaosSubjects {
		wg.Go(func() {
			for i := range chaosEvents {
				if err := publish(ctx, fmt.Sprint("s", s), fmt.Sprint(i)); err != nil {
					t.Errorf("s%d event %d: %v", s, i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	require.False(t, t.Failed())
}

// publishPatiently publishes until it works: a new topic, and a network that has just failed, may need some attempts.
func publishPatiently(t *testing.T, p *stream.Producer, m stream.Message) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := p.Publish(within(t), m)
		return err == nil
	}, testTimeout, 10*time.Millisecond)
}

// through makes a producer use a proxy, and lose patience quickly.
func through(proxy *kafkaproxy.Proxy) func(*stream.ProducerConfig) {
	return func(c *stream.ProducerConfig) { c.Dial, c.RequestTimeout = proxy.Dial, chaosPatience }
}

// backwards counts the values that stand behind a later one of the same subject.
func backwards(values []string) int {
	n, latest := 0, -1
	for _, v := range values {
		var i int
		if _, err := fmt.Sscan(v, &i); err == nil && i < latest {
			n++
		} else {
			latest = max(latest, i)
		}
	}
	return n
}
