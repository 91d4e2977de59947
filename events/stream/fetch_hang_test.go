//go:build real

package stream_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
)

// A broker whose process is stopped keeps its connections open and answers nothing. The cluster replaces
// it after two seconds here (broker.session.timeout.ms of the test brokers; nine by default).
func TestReadingGoesOnWhenABrokerFreezes(t *testing.T) {
	const partitions = 6
	b := testenv.StartKafka3(t)
	topic := b.Topic(t, testenv.TopicSpec{Name: "freeze", Partitions: partitions})
	cl := writer(t, b, kgo.ProduceRequestTimeout(time.Second), kgo.RequestTimeoutOverhead(time.Second))
	l := newLedger()
	join(t, b, stream.ConsumerConfig{Group: topic, Topic: topic}, l.handle("m"))
	write(t, cl, topic, partitions, 0, 10)
	l.await(t, partitions*10)
	require.NoError(t, b.Cluster().PauseNode(2))
	defer func() { require.NoError(t, b.Cluster().ResumeNode(2)) }()
	write(t, cl, topic, partitions, 10, 20)
	wrote := time.Now()
	l.await(t, partitions*20)
	t.Logf("read %v after the writer had got through", l.fresh.Sub(wrote))
	require.Less(t, l.fresh.Sub(wrote), 8*time.Second)
}
