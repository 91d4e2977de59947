package endtoend

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/logread"
	"github.com/kelisim/kelisim/internal/oncall/parked"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/schemas"
)

// townPartitions is how many partitions newTown makes.
const townPartitions = 4

// withdrawal is a correct record that somebody no longer wants promotion.
func (w *town) withdrawal(who events.Subject) *kgo.Record {
	rules := events.SeedRules()
	set, err := rules.Set("promotion")
	require.NoError(w.t, err)
	w.told++
	m, err := cloudevent.Encoder{Rules: rules, Data: schemas.Data}.Encode(&events.Event{
		ID: fmt.Sprint("poison-", w.told), Source: "/web2", Type: events.Withdrawn, Method: events.ByPerson, Subject: who, Purposes: set,
		Decided: events.MillisOf(w.producer.Now()), Data: []byte(`{"channel":"app"}`),
	})
	require.NoError(w.t, err)
	r := &kgo.Record{Topic: w.topics.Events, Partition: events.PartitionOf(who.Reveal(), townPartitions), Key: m.Key, Value: m.Value}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	return r
}

// poisoner writes whatever it is given where it is told to, as a producer of somebody
// else's would.
func (w *town) poisoner(codec kgo.CompressionCodec) *kgo.Client {
	k, err := kgo.NewClient(kgo.SeedBrokers(w.broker.Addrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(8<<20), kgo.ProducerBatchCompression(codec))
	require.NoError(w.t, err)
	w.t.Cleanup(k.Close)
	return k
}

func (w *town) parkedDesk() *parked.Desk {
	log, err := logread.New(stream.Config{Brokers: w.broker.Addrs()})
	require.NoError(w.t, err)
	mender, err := cache.OpenMender(w.t.Context(), w.client, marketing.Name, nil)
	require.NoError(w.t, err)
	rules := events.SeedRules()
	return &parked.Desk{
		Log: log, Publisher: w.producer, Rules: rules, Decoder: cloudevent.Decoder{Rules: rules}, Operator: "aigerim",
		Topics: parked.Topics{Events: w.topics.Events, Parked: w.topics.Parked, Generation: 1, Partitions: townPartitions},
		Caches: map[string]parked.Cache{marketing.Name: mender},
	}
}

// Whatever somebody puts into the log: what comes behind it is applied, in its
// partition and in every other, its bytes are kept, whom it may concern is denied
// until somebody has looked, and that is ended by one command.
func TestNoPoisonStopsAnybodyElse(t *testing.T) {
	const large = 1_040_000 // with what Kafka adds below the topic's max.message.bytes
	kinds := []struct {
		name    string
		spoil   func(*kgo.Record)
		codec   kgo.CompressionCodec
		holds   bool
		leftOut bool
	}{
		{name: "no key", spoil: func(r *kgo.Record) { r.Key = nil }, holds: true},
		{name: "an empty key", spoil: func(r *kgo.Record) { r.Key = []byte{} }, holds: true},
		{name: "a key that is no subject", spoil: func(r *kgo.Record) { r.Key = []byte("+77010000000") }, holds: true},
		{name: "the key of something else", spoil: func(r *kgo.Record) { r.Key = []byte("order-4711") }, holds: true},
		{name: "the key of something else, in another partition", holds: true, spoil: func(r *kgo.Record) {
			r.Key, r.Partition = []byte("order-4711"), (r.Partition+1)%townPartitions
		}},
		{name: "no key and no event", spoil: func(r *kgo.Record) { r.Key, r.Headers = nil, nil }},
		{name: "no value", spoil: func(r *kgo.Record) { r.Value = nil }, holds: true},
		{name: "nothing at all", spoil: func(r *kgo.Record) { r.Key, r.Value, r.Headers = nil, nil, nil }},
		{name: "more than a copy of it may have had", spoil: func(r *kgo.Record) { r.Value = make([]byte, large) }, holds: true},
		{name: "a key as large as the topic takes", spoil: func(r *kgo.Record) { r.Key = bytes.Repeat([]byte("k"), large) }, holds: true},
		{name: "packed small, and too large for any copy", holds: true, leftOut: true, codec: kgo.GzipCompression(),
			spoil: func(r *kgo.Record) { r.Value = make([]byte, 6<<20) }},
	}
	w := newTown(t)
	plain, packed := w.poisoner(kgo.NoCompression()), w.poisoner(kgo.GzipCompression())
	desk := w.parkedDesk()
	for i, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			w.t = t
			victim, others := i, []int(nil) // of each partition one who comes behind it
			for p := range int32(townPartitions) {
				others = append(others, w.neighbour(p, len(kinds)+i*townPartitions))
			}
			w.becomes(victim, "promotion", events.ByGrant)
			r := w.withdrawal(w.person(victim))
			kind.spoil(r)
			by := plain
			if kind.codec != (kgo.CompressionCodec{}) {
				by = packed
			}
			require.NoError(t, by.ProduceSync(t.Context(), r).FirstErr())
			w.decide(events.Withdrawn, "", others...)
			for _, n := range others {
				w.becomes(n, "promotion", events.ByWithdrawal)
			}
			if kind.holds {
				w.becomes(victim, "promotion", events.Held)
			}

			at := events.Position{Generation: 1, Partition: r.Partition, Offset: r.Offset}
			copied := w.copyOf(at)
			require.NotNil(t, copied, "kept aside")
			if kind.leftOut {
				require.Nil(t, copied.Value)
				require.Equal(t, consumers.HeaderParkedLeftOut, copied.Headers[0].Key)
			} else {
				require.True(t, bytes.Equal(r.Key, copied.Key) && (r.Key == nil) == (copied.Key == nil), "the key")
				require.True(t, bytes.Equal(r.Value, copied.Value) && (r.Value == nil) == (copied.Value == nil), "the value")
				require.Len(t, copied.Headers, len(r.Headers)+4, "theirs, and ours")
				for i, h := range r.Headers {
					require.Equal(t, h, copied.Headers[i])
				}
			}

			cases, strange, err := desk.Cases(t.Context())
			require.NoError(t, err)
			require.Zero(t, strange)
			found, err := desk.Find(t.Context(), cases, at)
			require.NoError(t, err)
			plan, err := desk.PlanDismissal(t.Context(), []*parked.Case{found}, "a test")
			require.NoError(t, err)
			require.Equal(t, kind.holds, len(plan.Items[0].Held) == 1)
			require.NoError(t, desk.Dismiss(t.Context(), plan))
			w.becomes(victim, "promotion", events.ByGrant)
		})
	}
}

// neighbour returns the first from n on who is of a partition.
func (w *town) neighbour(partition int32, n int) int {
	for ; n < inTown; n++ {
		if events.PartitionOf(w.person(n).Reveal(), townPartitions) == partition {
			return n
		}
	}
	require.Fail(w.t, "too few people")
	return -1
}

// copyOf returns what is parked of the record at a position.
func (w *town) copyOf(at events.Position) (found *kgo.Record) {
	readAll(w.t, w.broker, w.topics.Parked, func(r *stream.Record) {
		c := &kgo.Record{Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value)}
		ours := false
		for key, value := range r.Headers.All() {
			c.Headers = append(c.Headers, kgo.RecordHeader{Key: string(key), Value: bytes.Clone(value)})
			ours = ours || string(key) == consumers.HeaderParkedPosition && string(value) == at.String()
		}
		if ours {
			found = c
		}
	})
	return found
}

// A Kafka that takes nothing into the parked topic stops the partition with the
// poison, and that alone; it goes on by itself once the topic takes it.
func TestOnlyThePoisonedPartitionWaitsForTheParkedTopic(t *testing.T) {
	testenv.Parallel(t)
	w := newTown(t)
	limit := func(most string) {
		set := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &most}}
		res, err := w.broker.Admin(t).AlterTopicConfigs(t.Context(), set, w.topics.Parked)
		require.NoError(t, err)
		_, err = res.On(w.topics.Parked, nil)
		require.NoError(t, err)
	}
	limit("100") // not even a copy without bytes
	k := w.poisoner(kgo.NoCompression())
	for n := range inTown {
		w.becomes(n, "promotion", events.ByGrant)
	}
	const poisoned = 1
	r := w.withdrawal(w.person(w.neighbour(poisoned, 0)))
	r.Key = nil
	require.NoError(t, k.ProduceSync(t.Context(), r).FirstErr())
	behind := w.neighbour(poisoned, 10)
	w.becomes(behind, "promotion", events.Stale) // it waits, and in doubt the answer is no

	var others []int
	for p := range int32(townPartitions) {
		if p != poisoned {
			others = append(others, w.neighbour(p, 20))
		}
	}
	began := time.Now()
	w.decide(events.Withdrawn, "", append(others, behind)...)
	for _, n := range others {
		w.becomes(n, "promotion", events.ByWithdrawal)
	}
	t.Logf("others of the lane withdrew in %v", time.Since(began))
	require.Equal(t, events.Stale, w.ask.Check(t.Context(), w.person(behind), "promotion").Reason)

	limit("4194304")
	w.becomes(behind, "promotion", events.ByWithdrawal)
	require.NotNil(t, w.copyOf(events.Position{Generation: 1, Partition: r.Partition, Offset: r.Offset}))
}
