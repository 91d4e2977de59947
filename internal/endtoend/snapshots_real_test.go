//go:build real

package endtoend

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testservice"
)

// The writers are the program that production runs, two of them, killed where they
// stand while people go on deciding and the log cleaner takes away what was
// replaced. After each kill the topic, with the events behind its checkpoints,
// gives what the whole log gives.
func TestKilledWritersLeaveTheStateTopicWhole(t *testing.T) {
	const partitions, rounds = 4, 6
	broker, server := testenv.Kafka(t), testenv.Redis(t)
	topics := testservice.NewTopics(t, broker, partitions)
	state := stateTopic(t, broker, partitions)
	producer, err := stream.NewProducer(stream.ProducerConfig{Config: stream.Config{Brokers: broker.Addrs()}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = producer.Close(context.Background()) })
	publishSynthetic(t, producer, topics.Events, 41, 300, 5000)
	load := startLoad(t, producer, topics.Events)

	binary := buildConsentd(t)
	writers := make([]*daemon, 2)
	for i := range writers {
		writers[i] = &daemon{t: t, binary: binary, args: []string{
			"snapshots", "--kafka-brokers", broker.Addr(), "--redis-addrs", server.Addr(), "--admin-addr", "127.0.0.1:0", "--log-level", "error",
			"--topics-events", topics.Events, "--topics-policies", topics.Policies, "--topics-parked", topics.Parked,
			"--topics-receipts", topics.Receipts, "--topics-state", state,
		}}
		writers[i].start()
		defer writers[i].kill()
	}
	rnd := rand.New(rand.NewPCG(8, 8))
	var last int64
	for round := range rounds {
		require.Eventually(t, func() bool { // it works again: there is something to kill it in
			_, checkpoints := readState(t, broker, state, partitions)
			var acted int64
			for _, c := range checkpoints {
				acted += c.Acted
			}
			moved := acted > last && len(checkpoints) == partitions
			if moved {
				last = acted
			}
			return moved
		}, time.Minute, 200*time.Millisecond)
		one := writers[rnd.IntN(2)]
		one.kill()
		checkComplete(t, broker, topics, state, fmt.Sprint("after kill ", round))
		one.start()
	}
	require.Eventually(t, func() bool { return cleaned(t, broker, state) }, time.Minute, time.Second, "the log cleaner has not come")
	checkComplete(t, broker, topics, state, "after the cleaner")
	n := 5000 + load.stop()
	require.Eventually(t, func() bool {
		_, checkpoints := readState(t, broker, state, partitions)
		var acted int64
		for _, c := range checkpoints {
			acted += c.Acted
		}
		return acted == int64(n)
	}, time.Minute, 200*time.Millisecond)
	want := foldLog(t, broker.Addr(), topics.Events, partitions)
	got, _ := readState(t, broker, state, partitions)
	requireSame(t, want.states, got, "in the end")
}

// cleaned says whether the log cleaner has taken records away.
func cleaned(t testing.TB, broker *testenv.Broker, topic string) bool {
	r, err := stream.NewReader(stream.ReaderConfig{Config: stream.Config{Brokers: broker.Addrs()}, Topic: topic})
	require.NoError(t, err)
	defer r.Close()
	ends, err := r.Offsets(t.Context())
	require.NoError(t, err)
	ranges, offsets, records := make(map[int32]stream.Range), int64(0), int64(0)
	for p, o := range ends {
		ranges[p] = stream.Range{From: o.First, To: o.End}
		offsets += o.End
	}
	require.NoError(t, r.Read(t.Context(), ranges, func(b *stream.Batch) error {
		records += int64(len(b.Records))
		return nil
	}))
	return records < offsets-100 // checkpoints at least: one a second and partition
}
