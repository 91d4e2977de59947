//go:build !real

package stream_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestMemberThatLeavesDoesNotJoinOnceMore(t *testing.T) {
	b := testenv.StartKafka(t, testenv.KafkaConfig{})
	topic := b.Topic(t, testenv.TopicSpec{Name: "leave"})
	var joins atomic.Int32
	b.Fake().ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		joins.Add(1)
		return nil, nil, false
	})
	for i := range int32(10) {
		l := newLedger()
		m := join(t, b, stream.ConsumerConfig{Group: topic, Topic: topic}, l.handle("m"))
		l.awaitAssigned(t, map[string]int{"m": 1})
		require.NoError(t, m.stop())
		require.Equal(t, i+1, joins.Load())
	}
}

func TestLeaderThatHangsIsLeftForTheNewOne(t *testing.T) {
	testenv.Parallel(t)
	b := testenv.StartKafka3(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "hang", Partitions: 2})
	b.MoveLeader(t, topic, 0, 0)
	b.MoveLeader(t, topic, 1, 2)
	cl := writer(t, b)
	var hangs atomic.Bool
	asleep := make(chan struct{}, 100)
	block := make(chan struct{})
	t.Cleanup(func() { close(block) })
	b.Fake().ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.Fake().KeepControl()
		if hangs.Load() && b.Fake().CurrentNode() == 0 {
			asleep <- struct{}{}
			b.Fake().SleepControl(func() { <-block })
		}
		return nil, nil, false
	})
	l := newLedger()
	join(t, b, stream.ConsumerConfig{Group: topic, Topic: topic}, l.handle("m"))
	write(t, cl, topic, 2, 0, 6)
	l.await(t, 12)
	hangs.Store(true)
	<-asleep
	b.MoveLeader(t, topic, 0, 1)
	moved := time.Now()
	write(t, cl, topic, 2, 6, 10)
	l.await(t, 20)
	require.Less(t, l.fresh.Sub(moved), 4*time.Second, "before the request times out")
}
