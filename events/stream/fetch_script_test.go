//go:build !real

package stream_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kelisim/kelisim/events/stream/recordbatch"
	"github.com/kelisim/kelisim/internal/testenv"
)

// script answers the fetch requests of a test in place of the broker: one step each, then the last again.
type script struct {
	mu    sync.Mutex
	steps []func(*kmsg.FetchRequest) *kmsg.FetchResponse
	asked []int64 // the offset that each request wanted of partition 0
	sizes []int32 // and how much
}

// broker starts a Kafka with one topic whose fetch requests the script answers. A nil step, or response,
// leaves the request to Kafka.
func (s *script) broker(t *testing.T, partitions int) (*testenv.Broker, string) {
	t.Helper()
	b := testenv.StartKafka(t, testenv.KafkaConfig{})
	topic := b.Topic(t, testenv.TopicSpec{Name: "script", Partitions: partitions})
	b.Fake().ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.Fake().KeepControl()
		req := r.(*kmsg.FetchRequest)
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, asked := range req.Topics {
			for _, p := range asked.Partitions {
				if p.Partition == 0 {
					s.asked = append(s.asked, p.FetchOffset)
					s.sizes = append(s.sizes, p.PartitionMaxBytes)
				}
			}
		}
		if len(s.steps) == 0 {
			return nil, nil, false
		}
		step := s.steps[0]
		if len(s.steps) > 1 {
			s.steps = s.steps[1:]
		}
		if step == nil {
			return nil, nil, false
		}
		if len(req.Topics) == 0 { // within a session a request names only what changed
			named := *req
			named.Topics = []kmsg.FetchRequestTopic{{Topic: topic}}
			req = &named
		}
		res := step(req)
		return res, nil, res != nil
	})
	return b, topic
}

// wanted lists the offsets that were asked for so far.
func (s *script) wanted() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]int64(nil), s.asked...)
}

// answer is a fetch response about partition 0 of the topic asked for.
func answer(change func(*kmsg.FetchResponseTopicPartition)) func(*kmsg.FetchRequest) *kmsg.FetchResponse {
	return func(req *kmsg.FetchRequest) *kmsg.FetchResponse {
		res := req.ResponseKind().(*kmsg.FetchResponse)
		part := kmsg.NewFetchResponseTopicPartition()
		part.HighWatermark, part.LastStableOffset = 100, 100
		change(&part)
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic = req.Topics[0].Topic
		topic.Partitions = append(topic.Partitions, part)
		res.Topics = append(res.Topics, topic)
		return res
	}
}

// records is an answer that holds these bytes.
func records(batches ...[]byte) func(*kmsg.FetchRequest) *kmsg.FetchResponse {
	return answer(func(p *kmsg.FetchResponseTopicPartition) {
		for _, b := range batches {
			p.RecordBatches = append(p.RecordBatches, b...)
		}
	})
}

// refusal is an answer that holds an error code.
func refusal(code int16) func(*kmsg.FetchRequest) *kmsg.FetchResponse {
	return answer(func(p *kmsg.FetchResponseTopicPartition) { p.ErrorCode = code })
}

// batchOf crafts a batch with the values at the deltas of their places.
func batchOf(t *testing.T, info recordbatch.Info, values ...string) []byte {
	t.Helper()
	var e recordbatch.Encoder
	for _, v := range values {
		require.NoError(t, e.Add(1000, []byte("k"), []byte(v), recordbatch.Headers{}))
	}
	b, err := e.AppendBatch(nil, info)
	require.NoError(t, err)
	return b
}
