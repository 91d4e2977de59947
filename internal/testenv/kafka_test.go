package testenv_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/kelisim/kelisim/internal/testenv"
)

var logAppendTime = map[string]string{"message.timestamp.type": "LogAppendTime"}

func TestSharedKafkaIsStartedOnce(t *testing.T) {
	first, second := testenv.Kafka(t), testenv.Kafka(t)
	require.Equal(t, first.Addr(), second.Addr())
	spec := testenv.TopicSpec{Name: "events", Partitions: 3}
	require.NotEqual(t, first.Topic(t, spec), second.Topic(t, spec))
	secret := testenv.Kafka(t, testenv.WithTLS())
	require.Equal(t, secret.Addr(), testenv.Kafka(t, testenv.WithTLS()).Addr(), "whoever asks for the same shares it")
	require.NotEqual(t, first.Addr(), secret.Addr())
}

func TestAppendTimeIsTheBrokers(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "events", Config: logAppendTime})
	produceAt(t, b, topic, time.Now().Add(24*time.Hour))
	rec := consume(t, b, topic, 1)[0]
	require.EqualValues(t, 1, rec.Attrs.TimestampType())
	require.WithinDuration(t, time.Now(), rec.Timestamp, time.Minute)
}

func TestALogIsSearchedByAppendTime(t *testing.T) {
	b := testenv.Kafka(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "events", Config: logAppendTime})
	began := time.Now().Add(-time.Minute)
	produceAt(t, b, topic, began.Add(-time.Hour)) // made before, appended behind it
	found, err := b.Admin(t).ListOffsetsAfterMilli(t.Context(), began.UnixMilli(), topic)
	require.NoError(t, err)
	at, ok := found.Lookup(topic, 0)
	require.True(t, ok)
	require.NoError(t, at.Err)
	require.Zero(t, at.Offset)
	require.Greater(t, at.Timestamp, began.UnixMilli(), "it is that of a record, and not the log's end")
}

func TestRestartedKafkaKeepsItsDataAndPort(t *testing.T) {
	b := testenv.StartKafka(t, testenv.KafkaConfig{})
	topic := b.Topic(t, testenv.TopicSpec{Name: "events", Config: logAppendTime})
	addr := b.Addr()
	produceAt(t, b, topic, time.Now())
	b.Stop(t)
	b.Start(t)
	produceAt(t, b, topic, time.Now())
	b.Kill(t)
	b.Start(t)
	require.Equal(t, addr, b.Addr())
	require.Len(t, consume(t, b, topic, 2), 2)
}

func TestSecuredKafkaAdmitsItsUsersOnly(t *testing.T) {
	users := []testenv.User{
		{Mechanism: "PLAIN", Name: "gateway", Password: "plain secret"},
		{Mechanism: "SCRAM-SHA-256", Name: "marketing", Password: "first-secret"},
		{Mechanism: "SCRAM-SHA-512", Name: "targeting", Password: "second-secret"},
	}
	b := testenv.Kafka(t, testenv.WithTLS(), testenv.WithUsers(users...))
	b.Topic(t, testenv.TopicSpec{Name: "events"})
	try := func(opts ...kgo.Opt) error {
		cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(b.Addr()))...)
		require.NoError(t, err)
		defer cl.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return cl.Ping(ctx)
	}
	overTLS := kgo.DialTLSConfig(b.TLS())
	require.NoError(t, try(overTLS, kgo.SASL(plain.Auth{User: "gateway", Pass: "plain secret"}.AsMechanism())))
	require.NoError(t, try(overTLS, kgo.SASL(scram.Auth{User: "marketing", Pass: "first-secret"}.AsSha256Mechanism())))
	require.NoError(t, try(overTLS, kgo.SASL(scram.Auth{User: "targeting", Pass: "second-secret"}.AsSha512Mechanism())))
	require.Error(t, try(overTLS, kgo.SASL(plain.Auth{User: "gateway", Pass: "wrong"}.AsMechanism())))
	require.Error(t, try(overTLS, kgo.SASL(scram.Auth{User: "marketing", Pass: "wrong"}.AsSha256Mechanism())))
	require.Error(t, try(overTLS), "no user at all")
	require.Error(t, try(kgo.SASL(plain.Auth{User: "gateway", Pass: "plain secret"}.AsMechanism())), "no TLS")
}

func TestThreeNodesSurviveTheLossOfOne(t *testing.T) {
	b := testenv.StartKafka3(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "events", Config: logAppendTime})
	b.MoveLeader(t, topic, 0, 2)
	require.EqualValues(t, 2, leader(t, b, topic))
	produceAt(t, b, topic, time.Now())
	b.Kill(t, 2)
	produceAt(t, b, topic, time.Now())
	require.NotEqualValues(t, 2, leader(t, b, topic))
	b.Start(t, 2)
	b.MoveLeader(t, topic, 0, 2)
	require.EqualValues(t, 2, leader(t, b, topic))
	require.Len(t, consume(t, b, topic, 2), 2)
}

func TestStoppedNodeClosesItsConnections(t *testing.T) {
	b := testenv.StartKafka(t, testenv.KafkaConfig{Brokers: 2})
	conn, err := net.Dial("tcp", b.Addrs()[1])
	require.NoError(t, err)
	defer conn.Close()
	answered := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		answered <- err
	}()
	b.Stop(t, 1)
	select {
	case err := <-answered:
		require.Error(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("the connection outlives its node")
	}
}

func leader(t *testing.T, b *testenv.Broker, topic string) int32 {
	t.Helper()
	topics, err := b.Admin(t).ListTopics(t.Context(), topic)
	require.NoError(t, err)
	return topics[topic].Partitions[0].Leader
}

func produceAt(t *testing.T, b *testenv.Broker, topic string, at time.Time) {
	t.Helper()
	cl := dial(t, b)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	rec := &kgo.Record{Topic: topic, Value: []byte("v"), Timestamp: at}
	require.NoError(t, cl.ProduceSync(ctx, rec).FirstErr())
}

func consume(t *testing.T, b *testenv.Broker, topic string, n int) []*kgo.Record {
	t.Helper()
	cl := dial(t, b, kgo.ConsumeTopics(topic))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var got []*kgo.Record
	for len(got) < n {
		fetches := cl.PollFetches(ctx)
		require.NoError(t, fetches.Err())
		got = append(got, fetches.Records()...)
	}
	return got
}

func dial(t *testing.T, b *testenv.Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(b.Addrs()...), kgo.MetadataMinAge(50*time.Millisecond))...)
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	return cl
}
