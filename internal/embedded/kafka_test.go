package embedded_test

import (
	"context"
	"hash/crc32"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/kelisim/kelisim/internal/embedded"
)

const (
	timestampType = "message.timestamp.type"
	producerSays  = 3 * time.Hour // how far ahead the producer's clock runs in these tests
)

func TestAppendTimeReplacesTheProducersClock(t *testing.T) {
	for _, brokers := range []int{1, 3} {
		k := start(t, embedded.KafkaConfig{Brokers: brokers})
		cl := client(t, k)
		createTopic(t, cl, "events", map[string]string{timestampType: "LogAppendTime"})
		before := time.Now().Truncate(time.Millisecond)
		produce(t, cl, "events", "a", "b")
		after := time.Now()

		for _, rec := range fetch(t, k, "events", 2) {
			require.EqualValues(t, 1, rec.Attrs.TimestampType(), "attribute bit 3")
			require.False(t, rec.Timestamp.Before(before), "append time before the record was sent")
			require.False(t, rec.Timestamp.After(after), "append time after the record was acknowledged")
		}
	}
}

func TestCreateTimeTopicKeepsTheProducersTime(t *testing.T) {
	k := start(t, embedded.KafkaConfig{})
	cl := client(t, k)
	createTopic(t, cl, "state", nil)
	produce(t, cl, "state", "a")
	rec := fetch(t, k, "state", 1)[0]
	require.Zero(t, rec.Attrs.TimestampType())
	require.Greater(t, time.Until(rec.Timestamp), producerSays/2)
}

func TestRepeatedProduceIsAnsweredWithTheFirstAppendTime(t *testing.T) {
	k := start(t, embedded.KafkaConfig{})
	cl := client(t, k)
	createTopic(t, cl, "events", map[string]string{timestampType: "LogAppendTime"})

	const producer = 7
	first := send(t, cl, "events", batch(producer, 0))
	second := send(t, cl, "events", batch(producer, 1))
	require.Positive(t, first.LogAppendTime)
	require.EqualValues(t, 1, second.BaseOffset)

	again := send(t, cl, "events", batch(producer, 0))
	require.Zero(t, again.BaseOffset)
	require.Equal(t, first.LogAppendTime, again.LogAppendTime)
	require.EqualValues(t, 2, k.Cluster().PartitionInfo("events", 0).HighWatermark, "nothing was appended twice")
}

func TestDamagedBatchIsRefused(t *testing.T) {
	k := start(t, embedded.KafkaConfig{})
	cl := client(t, k)
	createTopic(t, cl, "events", map[string]string{timestampType: "LogAppendTime"})
	damaged := batch(7, 0)
	damaged[len(damaged)-1] ^= 1
	require.Equal(t, kerr.CorruptMessage.Code, send(t, cl, "events", damaged).ErrorCode)
}

func TestDataDirKeepsRecordsAndTheirAppendTime(t *testing.T) {
	dir := t.TempDir()
	k := start(t, embedded.KafkaConfig{DataDir: dir})
	cl := client(t, k)
	createTopic(t, cl, "events", map[string]string{timestampType: "LogAppendTime"})
	produce(t, cl, "events", "a")
	was := fetch(t, k, "events", 1)[0]
	addr := k.Addrs()[0]
	k.Close()

	again := start(t, embedded.KafkaConfig{Addr: addr, DataDir: dir})
	require.Equal(t, []string{addr}, again.Addrs())
	is := fetch(t, again, "events", 1)[0]
	require.Equal(t, was.Timestamp, is.Timestamp)
	require.EqualValues(t, 1, is.Attrs.TimestampType())
	require.Equal(t, "a", string(is.Value))
}

func TestUsersMustAuthenticate(t *testing.T) {
	k := start(t, embedded.KafkaConfig{Users: []embedded.KafkaUser{{Mechanism: "PLAIN", Name: "gateway", Password: "right"}}})
	good := client(t, k, kgo.SASL(plain.Auth{User: "gateway", Pass: "right"}.AsMechanism()))
	require.NoError(t, good.Ping(t.Context()))

	bad := client(t, k, kgo.SASL(plain.Auth{User: "gateway", Pass: "wrong"}.AsMechanism()))
	require.Error(t, bad.Ping(t.Context()))
}

func TestFaultsCanBeInjected(t *testing.T) {
	k := start(t, embedded.KafkaConfig{})
	cl := client(t, k, kgo.MetadataMinAge(10*time.Millisecond)) // the client waits as long before it looks again
	createTopic(t, cl, "events", map[string]string{timestampType: "LogAppendTime"})
	fault := k.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition})
	produce(t, cl, "events", "a")
	require.EqualValues(t, 1, fault.Hits())
	require.Len(t, fetch(t, k, "events", 1), 1)
}

func TestBadAddressIsRefused(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "127.0.0.1:http", "127.0.0.1:70000"} {
		_, err := embedded.StartKafka(embedded.KafkaConfig{Addr: addr})
		require.ErrorContains(t, err, "embedded kafka", addr)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, err = embedded.StartKafka(embedded.KafkaConfig{Addr: taken.Addr().String()})
	require.ErrorContains(t, err, "address already in use")
}

func start(t *testing.T, cfg embedded.KafkaConfig) *embedded.Kafka {
	t.Helper()
	k, err := embedded.StartKafka(cfg)
	require.NoError(t, err)
	t.Cleanup(k.Close)
	return k
}

func client(t *testing.T, k *embedded.Kafka, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(k.Addrs()...))...)
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	return cl
}

func createTopic(t *testing.T, cl *kgo.Client, name string, config map[string]string) {
	t.Helper()
	values := make(map[string]*string)
	for key, value := range config {
		values[key] = &value
	}
	_, err := kadm.NewClient(cl).CreateTopic(t.Context(), 1, 1, values, name)
	require.NoError(t, err)
}

// produce appends each value as a batch of its own, stamped by a clock that runs ahead.
func produce(t *testing.T, cl *kgo.Client, topic string, values ...string) {
	t.Helper()
	for _, value := range values {
		rec := &kgo.Record{Topic: topic, Value: []byte(value), Timestamp: time.Now().Add(producerSays)}
		require.NoError(t, cl.ProduceSync(t.Context(), rec).FirstErr())
	}
}

func fetch(t *testing.T, k *embedded.Kafka, topic string, n int) []*kgo.Record {
	t.Helper()
	cl := client(t, k, kgo.ConsumeTopics(topic))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var got []*kgo.Record
	for len(got) < n {
		fetches := cl.PollFetches(ctx)
		require.NoError(t, fetches.Err())
		got = append(got, fetches.Records()...)
	}
	return got
}

// batch is a record batch of one record, as an idempotent producer writes it.
func batch(producer int64, sequence int32) []byte {
	rec := kmsg.Record{Key: []byte("k"), Value: []byte("v")}
	rec.Length = int32(len(rec.AppendTo(nil)) - 1) // the length's own byte does not count
	b := kmsg.RecordBatch{
		Magic: 2, NumRecords: 1, Records: rec.AppendTo(nil),
		FirstTimestamp: 1, MaxTimestamp: 1, ProducerID: producer, FirstSequence: sequence,
	}
	const uncounted = 12 // base offset and length
	b.Length = int32(len(b.AppendTo(nil)) - uncounted)
	const checked = 21 // the checksum covers everything from the attributes on
	b.CRC = int32(crc32.Checksum(b.AppendTo(nil)[checked:], crc32.MakeTable(crc32.Castagnoli)))
	return b.AppendTo(nil)
}

// send is one produce request, as this version of the client sends it: by topic id.
func send(t *testing.T, cl *kgo.Client, topic string, records []byte) kmsg.ProduceResponseTopicPartition {
	t.Helper()
	details, err := kadm.NewClient(cl).ListTopics(t.Context(), topic)
	require.NoError(t, err)
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 1000
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Records = records
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.TopicID, rt.Partitions = topic, details[topic].ID, append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := cl.Broker(0).Request(t.Context(), req)
	require.NoError(t, err)
	return resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
}
