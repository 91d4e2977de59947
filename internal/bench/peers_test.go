package bench

import (
	"context"
	"encoding/binary"
	"strconv"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/redis/go-redis/v9"
	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/kelisim/kelisim/events/cekafka"
	"github.com/kelisim/kelisim/events/stream"
)

// casOne is the script of the loop that a team would write: one event, written
// if its offset is higher.
var casOne = redis.NewScript(`
local v = redis.call('HGET', KEYS[1], 'v')
if v and tonumber(v) >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 's', ARGV[2])
return 1`)

// casMany does the same for many keys at once: the limit of what Redis takes of
// any consumer that writes each state with its version compared.
var casMany = redis.NewScript(`
local call, sub = redis.call, string.sub
for i = 1, #KEYS do
  local old = call('GET', KEYS[i])
  if not old or sub(old, 1, 16) < sub(ARGV[i], 1, 16) then call('SET', KEYS[i], ARGV[i]) end
end
return #KEYS`)

const (
	limitKeys  = 400 // of one script, as in the probe that set the goal
	limitBytes = 60  // of one state
	limitConns = 2   // that saturate one Redis thread
)

// client returns a plain Redis client, without what a bench must not measure.
func client(b *testing.B, addr string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: addr, DisableIdentity: true, MaxRetries: -1, PoolSize: 16, ReadTimeout: time.Minute})
	b.Cleanup(func() { _ = c.Close() })
	return c
}

// limitRedis writes n states of the given subjects by batched script and nothing
// else.
func limitRedis(b *testing.B, addr string, subjects []int) {
	c := client(b, addr)
	ctx := context.Background()
	require.NoError(b, casMany.Load(ctx, c).Err())
	var group errgroup.Group
	share := (len(subjects) + limitConns - 1) / limitConns
	for conn := range limitConns {
		mine := subjects[min(conn*share, len(subjects)):min((conn+1)*share, len(subjects))]
		first := conn * share
		group.Go(func() error {
			keys, args := make([]string, 0, limitKeys), make([]any, 0, limitKeys)
			for len(mine) > 0 {
				n := min(limitKeys, len(mine))
				keys, args = keys[:0], args[:0]
				for i, s := range mine[:n] {
					state := make([]byte, limitBytes)
					copy(state, strconv.FormatInt(1e15+int64(first+i), 10))
					keys, args = append(keys, subjectName(s)), append(args, state)
				}
				if err := casMany.EvalSha(ctx, c, keys, args...).Err(); err != nil {
					return err
				}
				mine, first = mine[n:], first+n
			}
			return nil
		})
	}
	require.NoError(b, group.Wait())
}

// limitFetch reads the whole topic by the pipeline's own codec, every record and
// header, and does nothing with it.
func limitFetch(b *testing.B, kafkaAddr, topic string, n int) {
	r, err := stream.NewReader(stream.ReaderConfig{Config: stream.Config{Brokers: []string{kafkaAddr}}, Topic: topic})
	require.NoError(b, err)
	defer r.Close()
	from := make(map[int32]int64)
	for p := range int32(partitions) {
		from[p] = stream.Earliest
	}
	ctx := context.Background()
	require.NoError(b, r.Start(ctx, from))
	headers := 0
	for n > 0 {
		f, err := r.Poll(ctx)
		require.NoError(b, err)
		for i := range f.Batches {
			n -= len(f.Batches[i].Records)
			for j := range f.Batches[i].Records {
				for h := f.Batches[i].Records[j].Headers; h.Len() > 0; headers++ {
					h.Next()
				}
			}
		}
		f.Release()
	}
	require.NotZero(b, headers)
}

// teamLoop is the loop that a team would write today: a group reader, the SDK's
// event, one script and one commit per event. It stops after n events.
func teamLoop(b *testing.B, kafkaAddr, redisAddr, topic, group string, n int) {
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{kafkaAddr}, Topic: topic, GroupID: group, StartOffset: kafka.FirstOffset})
	defer func() { _ = r.Close() }()
	c := client(b, redisAddr)
	ctx := context.Background()
	for range n {
		m, err := r.FetchMessage(ctx)
		require.NoError(b, err)
		require.NoError(b, teamStep(ctx, r, c, m))
	}
}

func teamStep(ctx context.Context, r *kafka.Reader, c *redis.Client, m kafka.Message) error {
	event, err := binding.ToEvent(ctx, cekafka.NewMessage(m))
	if err != nil {
		return err
	}
	if err := casOne.Run(ctx, c, []string{"team:" + event.Subject()}, m.Offset, event.Type()).Err(); err != nil {
		return err
	}
	return r.CommitMessages(ctx, m)
}

// franz is a tuned franz-go consumer: batches per partition, eight workers, its
// own header reading, one compare-and-set script per batch, commits by interval.
func franz(b *testing.B, kafkaAddr, redisAddr, topic, group string, n int) {
	c := client(b, redisAddr)
	ctx := context.Background()
	require.NoError(b, casMany.Load(ctx, c).Err())
	k, err := kgo.NewClient(kgo.SeedBrokers(kafkaAddr), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxBytes(16<<20), kgo.FetchMaxPartitionBytes(1<<20),
		kgo.AutoCommitInterval(500*time.Millisecond))
	require.NoError(b, err)
	defer k.Close()
	for n > 0 {
		fetches := k.PollFetches(ctx)
		require.Empty(b, fetches.Errors())
		n -= fetches.NumRecords()
		var work errgroup.Group
		work.SetLimit(8)
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			work.Go(func() error { return franzBatch(ctx, c, p.Records) })
		})
		require.NoError(b, work.Wait())
	}
}

func franzBatch(ctx context.Context, c *redis.Client, records []*kgo.Record) error {
	keys, args := make([]string, 0, limitKeys), make([]any, 0, limitKeys)
	for len(records) > 0 {
		n := min(limitKeys, len(records))
		keys, args = keys[:0], args[:0]
		for _, r := range records[:n] {
			state := make([]byte, limitBytes)
			copy(state, strconv.FormatInt(1e15+r.Offset, 10))
			for _, h := range r.Headers {
				if h.Key == "ce_type" || h.Key == "ce_purposes" {
					binary.BigEndian.PutUint16(state[20:], uint16(len(h.Value)))
				}
			}
			keys, args = append(keys, "franz:"+string(r.Key)), append(args, state)
		}
		if err := casMany.EvalSha(ctx, c, keys, args...).Err(); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}
