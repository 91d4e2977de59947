package stream

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

// fetchFrame is an answer, written by another implementation, about partitions 0 to n-1.
func fetchFrame(topic string, n int) []byte {
	res := kmsg.NewPtrFetchResponse()
	res.Version, res.SessionID = fetchVersion, 77
	t := kmsg.NewFetchResponseTopic()
	t.Topic = topic
	for i := range int32(n) {
		p := kmsg.NewFetchResponseTopicPartition()
		p.Partition, p.HighWatermark, p.LastStableOffset, p.LogStartOffset = i, 100, 90, 10
		p.RecordBatches = []byte(fmt.Sprint("records of ", i))
		p.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 5, FirstOffset: 50}}
		t.Partitions = append(t.Partitions, p)
	}
	res.Topics = append(res.Topics, t)
	return res.AppendTo(nil)
}

func TestAnswerOfAnotherImplementationIsRead(t *testing.T) {
	var parts []answered
	session, err := parseFetchResponse(fetchFrame("t", 2), "t", func(a *answered) {
		one := *a
		one.aborted = append([]recordbatch.Aborted(nil), a.aborted...)
		parts = append(parts, one)
	})
	require.NoError(t, err)
	require.Equal(t, int32(77), session)
	for i, part := range parts {
		require.Equal(t, answered{partition: int32(i), highWatermark: 100, lastStable: 90, logStart: 10,
			aborted: []recordbatch.Aborted{{ProducerID: 5, FirstOffset: 50}},
			records: fmt.Appendf(nil, "records of %d", i)}, part)
	}
	_, err = parseFetchResponse(fetchFrame("other", 1), "t", func(*answered) { t.Fatal("another topic") })
	require.NoError(t, err)
}

func TestRequestIsReadByAnotherImplementation(t *testing.T) {
	s := &fetchSession{id: 5, epoch: 6,
		send: []asked{{partition: 3, offset: 44, maxBytes: 1000}, {partition: 1, offset: 55, maxBytes: 2000}}, gone: []int32{7, 8}}
	var req kmsg.FetchRequest
	req.Version = fetchVersion
	require.NoError(t, req.ReadFrom(appendFetchRequest(nil, "t", 500, 4096, s)))
	require.Equal(t, [6]int32{-1, 500, 1, 4096, 5, 6},
		[6]int32{req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionID, req.SessionEpoch})
	require.Equal(t, int8(readCommitted), req.IsolationLevel)
	require.Equal(t, "t", req.Topics[0].Topic)
	got := req.Topics[0].Partitions
	require.Equal(t, [2]int64{44, 55}, [2]int64{got[0].FetchOffset, got[1].FetchOffset})
	require.Equal(t, [2]int32{1000, 2000}, [2]int32{got[0].PartitionMaxBytes, got[1].PartitionMaxBytes})
	require.Equal(t, []int32{7, 8}, req.ForgottenTopics[0].Partitions)
}

func TestAnswerCutOffAnywhereIsAnError(t *testing.T) {
	frame := fetchFrame("t", 2)
	for cut := range frame {
		seen := 0
		_, err := parseFetchResponse(frame[:cut], "t", func(a *answered) {
			require.Equal(t, fmt.Sprint("records of ", seen), string(a.records))
			seen++
		})
		require.ErrorIs(t, err, errBadAnswer, "cut at %d", cut)
	}
	_, err := parseFetchResponse(append(frame, 0), "t", func(*answered) {})
	require.ErrorIs(t, err, errBadAnswer, "something behind the end")
}

// FuzzFetchAnswer reads anything as an answer: no panic, and no room made for what is not there.
func FuzzFetchAnswer(f *testing.F) {
	f.Add(fetchFrame("t", 1))
	f.Add(fetchFrame("t", 3)[:100])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, frame []byte) {
		n := 0
		_, err := parseFetchResponse(frame, "t", func(a *answered) {
			n++
			if len(a.aborted) > len(frame)/16 || len(a.records) > len(frame) {
				t.Fatal("more than the answer holds")
			}
		})
		if err == nil && n > len(frame)/38 {
			t.Fatalf("%d partitions in %d bytes", n, len(frame))
		}
	})
}

func TestSilenceProvesFreshnessOnlyAfterTheBrokerSpoke(t *testing.T) {
	s := &fetchSession{}
	list := []asked{{partition: 0, offset: 5, maxBytes: 9}, {partition: 1, offset: 5, maxBytes: 9}, {partition: 2, offset: 5, maxBytes: 9}}
	s.plan(list)
	require.Len(t, s.send, 3)
	s.hear(&answered{partition: 0, lastStable: 5, highWatermark: 6, logStart: 1, records: []byte("x")})
	s.hear(&answered{partition: 1, code: 6, lastStable: -1})
	s.answered(9) // nothing about partition 2
	for p := range int32(3) {
		_, ok := s.silent(p)
		require.False(t, ok, "partition %d has just been heard, or never well", p)
	}
	list[0].offset = 7
	s.plan(list[:2])
	require.Equal(t, list[:1], s.send)
	require.Equal(t, []int32{2}, s.gone)
	s.answered(9)
	a, ok := s.silent(0)
	require.True(t, ok)
	require.Equal(t, answered{partition: 0, lastStable: 5, highWatermark: 6, logStart: 1}, *a)
	_, ok = s.silent(1)
	require.False(t, ok, "what was last said was an error")
	s.plan(list[:2])
	require.Empty(t, s.gone, "forgotten once")
	s.answered(0)
	s.plan(list)
	require.Len(t, s.send, 3, "without a session everything is named")
}
