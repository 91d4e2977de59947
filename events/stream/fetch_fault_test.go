//go:build !real

package stream_test

import (
	"context"
	"encoding/binary"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/events/stream/recordbatch"
	"github.com/kelisim/kelisim/internal/testenv"
)

// These answers make kafka.Reader panic or spin (kafka-go#874, #1393, #1416, #423).
func TestNextRequestAsksBehindWhatTheLogCleanerLeft(t *testing.T) {
	producer := &recordbatch.Producer{ID: 1}
	s := &script{steps: []func(*kmsg.FetchRequest) *kmsg.FetchResponse{
		records(batchOf(t, recordbatch.Info{LastOffsetDelta: 4}), batchOf(t, recordbatch.Info{BaseOffset: 5, LastOffsetDelta: 4})),
		records(batchOf(t, recordbatch.Info{BaseOffset: 10})),
		records(batchOf(t, recordbatch.Info{BaseOffset: 11, LastOffsetDelta: 8}, "11")),
		records(batchOf(t, recordbatch.Info{BaseOffset: 20, LastOffsetDelta: 9, Codec: recordbatch.LZ4}, "20", "21")),
		records(batchOf(t, recordbatch.Info{BaseOffset: 30, Control: true, Transactional: true, Producer: producer}, "control")),
		answer(func(p *kmsg.FetchResponseTopicPartition) {
			p.RecordBatches = batchOf(t, recordbatch.Info{BaseOffset: 31, Transactional: true, Producer: producer}, "aborted")
			p.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 1, FirstOffset: 31}}
		}),
		records(batchOf(t, recordbatch.Info{BaseOffset: 32}, "32"), batchOf(t, recordbatch.Info{BaseOffset: 33}, "33")[:70]),
		records(batchOf(t, recordbatch.Info{BaseOffset: 33}, "33")),
		records(),
	}}
	b, topic := s.broker(t, 1)
	r := reader(t, b, topic)
	require.NoError(t, r.Start(t.Context(), map[int32]int64{0: 0}))
	got := seen{}
	readAll(t, r, got, 5)
	require.Equal(t, []string{"11", "20", "21", "32", "33"}, got[0])
	require.Eventually(t, func() bool { return len(s.wanted()) > 8 }, patience, time.Millisecond)
	require.Equal(t, []int64{0, 10, 11, 20, 30, 31, 32, 33, 34}, s.wanted()[:9])
}

func TestBatchThatDoesNotFitIsAskedForWhole(t *testing.T) {
	whole := batchOf(t, recordbatch.Info{}, strings.Repeat("x", 5000))
	s := &script{steps: []func(*kmsg.FetchRequest) *kmsg.FetchResponse{records(whole[:1000]), records(whole), records()}}
	b, topic := s.broker(t, 1)
	r := reader(t, b, topic, func(c *stream.ReaderConfig) { c.PartitionMaxBytes = 1000 })
	require.NoError(t, r.Start(t.Context(), map[int32]int64{0: 0}))
	readAll(t, r, seen{}, 1)
	require.Eventually(t, func() bool { return len(s.wanted()) > 2 }, patience, time.Millisecond)
	require.Equal(t, []int32{1000, int32(len(whole)), 1000}, s.sizes[:3])
}

func TestBytesHurtOnTheWayAreFetchedAgain(t *testing.T) {
	good := batchOf(t, recordbatch.Info{}, "0")
	bad := append([]byte(nil), good...)
	bad[len(bad)-2] ^= 1
	s := &script{steps: []func(*kmsg.FetchRequest) *kmsg.FetchResponse{records(bad), records(bad), records(good), records()}}
	b, topic := s.broker(t, 1)
	r := reader(t, b, topic)
	require.NoError(t, r.Start(t.Context(), map[int32]int64{0: 0}))
	got := seen{}
	readAll(t, r, got, 1)
	require.Equal(t, []int64{0, 0, 0}, s.wanted()[:3])
}

func TestBatchThatCannotBeReadStandsInTheWayUntilSomebodyDecides(t *testing.T) {
	good, bad := batchOf(t, recordbatch.Info{}, "0", "1"), batchOf(t, recordbatch.Info{BaseOffset: 2}, "2", "3")
	bad[len(bad)-2] ^= 1
	behind := batchOf(t, recordbatch.Info{BaseOffset: 4}, "4")
	s := &script{steps: []func(*kmsg.FetchRequest) *kmsg.FetchResponse{func(req *kmsg.FetchRequest) *kmsg.FetchResponse {
		switch at := req.Topics[0].Partitions[0].FetchOffset; {
		case at < 2:
			return records(good, bad, behind)(req)
		case at < 4:
			return records(bad, behind)(req)
		}
		return records(behind)(req)
	}}}
	b, topic := s.broker(t, 1)
	alarms := make(chan *stream.CorruptError, 1)
	r := reader(t, b, topic, func(c *stream.ReaderConfig) { c.Watch.Corrupt = func(e *stream.CorruptError) { alarms <- e } })
	require.NoError(t, r.Start(t.Context(), map[int32]int64{0: 0}))
	got := seen{}
	readAll(t, r, got, 2)
	for {
		f, err := r.Poll(t.Context())
		if err == nil {
			got.add(f)
			continue
		}
		var broken *stream.CorruptError
		require.ErrorAs(t, err, &broken)
		require.ErrorIs(t, err, recordbatch.ErrCorrupt)
		require.Equal(t, bad, broken.Raw)
		require.Equal(t, int64(2), broken.First)
		require.Same(t, broken, <-alarms)
		break
	}
	require.Len(t, got[0], 2, "nothing behind it was read")
	require.NoError(t, r.Start(t.Context(), map[int32]int64{0: 4}))
	readAll(t, r, got, 3)
	require.Equal(t, "4", got[0][2])
}

func TestRefusedPartitionIsAskedForAgainAtOnceWhenItsLeaderIsBack(t *testing.T) {
	testenv.Parallel(t)
	const notLeader, unknownTopic, authorization = 6, 3, 29
	var refuse atomic.Bool
	refuse.Store(true)
	s := &script{}
	b, topic := s.broker(t, 1)
	var refreshes atomic.Int32
	b.Fake().ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		refreshes.Add(1)
		return nil, nil, false
	})
	code := int16(notLeader)
	s.steps = append(s.steps, func(req *kmsg.FetchRequest) *kmsg.FetchResponse {
		if !refuse.Load() {
			return nil
		}
		code = notLeader + unknownTopic - code
		return refusal(code)(req)
	})
	write(t, writer(t, b), topic, 1, 0, 1)
	moved := make(chan error, 1000)
	r := reader(t, b, topic, func(c *stream.ReaderConfig) {
		c.Watch.Moved = func(_ int32, err error) { moved <- err }
	})
	require.NoError(t, r.Start(t.Context(), map[int32]int64{0: 0}))
	for range 6 {
		<-moved
	}
	require.GreaterOrEqual(t, refreshes.Load(), int32(5), "the cluster was asked every time who leads it")
	refuse.Store(false)
	back := time.Now()
	got := seen{}
	readAll(t, r, got, 1)
	require.Less(t, time.Since(back), time.Second)
	require.Less(t, len(s.wanted()), 30, "asked with pauses")

	s.mu.Lock()
	s.steps = []func(*kmsg.FetchRequest) *kmsg.FetchResponse{refusal(authorization), nil}
	s.mu.Unlock()
	for {
		f, err := r.Poll(t.Context())
		if err == nil {
			f.Release()
			continue
		}
		var refused *stream.PartitionError
		require.ErrorAs(t, err, &refused)
		break
	}
}

func TestAnswerThatBreaksOffLosesNothing(t *testing.T) {
	b := testenv.StartKafka(t, testenv.KafkaConfig{})
	topic := b.Topic(t, testenv.TopicSpec{Name: "broken", Partitions: 2})
	cl := writer(t, b)
	require.NoError(t, cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("0")}).FirstErr())
	lost := make(chan error, 1)
	broken := false
	r := reader(t, b, topic, func(c *stream.ReaderConfig) {
		c.Watch.Lost = func(_ int32, err error) { lost <- err }
		c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			return &breakingConn{Conn: conn, done: &broken}, err
		}
	})
	require.NoError(t, r.Start(t.Context(), map[int32]int64{0: 0, 1: 0}))
	f, err := r.Poll(t.Context())
	require.NoError(t, err)
	require.Len(t, f.Batches, 1, "the partition in front of the break")
	got := seen{}
	got.add(f)
	require.ErrorContains(t, <-lost, "malformed answer")
	write(t, cl, topic, 2, 1, 5)
	readAll(t, r, got, 9)
	require.Equal(t, []string{"0", "1", "2", "3", "4"}, got[0])
	require.Equal(t, []string{"1", "2", "3", "4"}, got[1])
}

// breakingConn makes the last field of the first fetch answer, the length of the records of a partition,
// point behind the end.
type breakingConn struct {
	net.Conn
	fetching bool
	done     *bool
}

func (c *breakingConn) Write(b []byte) (int, error) {
	c.fetching = len(b) > 6 && binary.BigEndian.Uint16(b[4:]) == uint16(kmsg.Fetch)
	return c.Conn.Write(b)
}

func (c *breakingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.fetching && !*c.done && n > 60 {
		*c.done = true
		b[n-1] = 0x70
		b[n-4] = 0
	}
	return n, err
}

func TestWithoutPollOneAnswerIsReadAheadAndNoMore(t *testing.T) {
	testenv.Parallel(t)
	const stall = 300 * time.Millisecond
	s := &script{}
	s.steps = append(s.steps, func(req *kmsg.FetchRequest) *kmsg.FetchResponse {
		at := req.Topics[0].Partitions[0].FetchOffset
		return records(batchOf(t, recordbatch.Info{BaseOffset: at}, "x"))(req)
	})
	b, topic := s.broker(t, 1)
	stalls := make(chan stream.Stall, 10)
	r := reader(t, b, topic, func(c *stream.ReaderConfig) {
		c.Stall = stall
		c.Watch.Stall = func(s stream.Stall) { stalls <- s }
	})
	require.NoError(t, r.Start(t.Context(), map[int32]int64{0: 0}))
	f, err := r.Poll(t.Context()) // the next request goes out now
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(s.wanted()) == 2 }, patience, time.Millisecond)
	require.Never(t, func() bool { return len(s.wanted()) > 2 }, 4*stall, stall/10)
	f.Release()
	require.Empty(t, stalls, "back pressure is no stall")
}

func TestStalledPartitionGetsNewConnections(t *testing.T) {
	testenv.Parallel(t)
	s := &script{steps: []func(*kmsg.FetchRequest) *kmsg.FetchResponse{records()}} // behind, and nothing comes
	b, topic := s.broker(t, 1)
	stalls := make(chan stream.Stall, 1)
	r := reader(t, b, topic, func(c *stream.ReaderConfig) {
		c.Stall = 500 * time.Millisecond
		c.Watch.Stall = func(s stream.Stall) {
			select {
			case stalls <- s:
			default:
			}
		}
	})
	require.NoError(t, r.Start(t.Context(), map[int32]int64{0: 7}))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for len(stalls) == 0 {
		f, err := r.Poll(ctx)
		require.NoError(t, err)
		f.Release()
	}
	stall := <-stalls
	require.Equal(t, []int32{0}, stall.Partitions)
	require.Equal(t, int64(93), stall.Behind)
	s.mu.Lock()
	there := records(batchOf(t, recordbatch.Info{BaseOffset: 7}, "7"))
	s.steps = []func(*kmsg.FetchRequest) *kmsg.FetchResponse{func(req *kmsg.FetchRequest) *kmsg.FetchResponse {
		for _, asked := range req.Topics {
			for _, p := range asked.Partitions {
				if p.FetchOffset > 7 {
					return records()(req)
				}
			}
		}
		return there(req) // however often: an answer on a connection that was given up is asked for again
	}}
	s.mu.Unlock()
	readAll(t, r, seen{}, 1)
}

func TestIdlePartitionsAreSilentAndFreshAllTheSame(t *testing.T) {
	testenv.Parallel(t)
	const partitions = 8
	b := testenv.StartKafka(t, testenv.KafkaConfig{})
	topic := b.Topic(t, testenv.TopicSpec{Name: "idle", Partitions: partitions})
	var mu sync.Mutex
	var named []int
	b.Fake().ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		n := 0
		for _, asked := range r.(*kmsg.FetchRequest).Topics {
			n += len(asked.Partitions)
		}
		mu.Lock()
		defer mu.Unlock()
		named = append(named, n)
		return nil, nil, false
	})
	cl := writer(t, b)
	write(t, cl, topic, partitions, 0, 3)
	r := reader(t, b, topic)
	require.NoError(t, r.Start(t.Context(), earliest(partitions)))
	got := seen{}
	readAll(t, r, got, 3*partitions)
	quiet := 0
	for quiet < 3 { // until the positions are at the end, and then some
		f, err := r.Poll(t.Context())
		require.NoError(t, err)
		if f.Records() == 0 {
			quiet++
		}
		require.Len(t, f.Batches, partitions, "the silent ones too")
		for _, batch := range f.Batches {
			require.Equal(t, [4]int64{3, 3, 3, 0}, [4]int64{batch.Next, batch.HighWatermark, batch.LastStable, batch.LogStart})
		}
		f.Release()
	}
	mu.Lock()
	require.Equal(t, partitions, named[0])
	require.Zero(t, named[len(named)-1])
	mu.Unlock()

	write(t, cl, topic, 1, 3, 4) // partition 0 only
	for got.count() < 3*partitions+1 {
		f, err := r.Poll(t.Context())
		require.NoError(t, err)
		for _, batch := range f.Batches {
			require.True(t, batch.CaughtUp())
		}
		got.add(f)
	}
	require.Equal(t, []string{"0", "1", "2", "3"}, got[0])
	require.NoError(t, r.Start(t.Context(), map[int32]int64{5: 1})) // a Seek inside the session
	readAll(t, r, got, 3*partitions+1+2)
	require.Equal(t, []string{"0", "1", "2", "1", "2"}, got[5])
	r.Stop(5)
	write(t, cl, topic, partitions, 4, 5)
	readAll(t, r, got, 3*partitions+1+2+partitions-1)
	require.Len(t, got[5], 5, "a stopped partition is forgotten")
}

func TestBrokerThatForgotTheFetchSessionIsToldAgain(t *testing.T) {
	const forgotten, wrongEpoch = 70, 71
	s := &script{}
	b, topic := s.broker(t, 2)
	fail := func(code int16) func(*kmsg.FetchRequest) *kmsg.FetchResponse {
		return func(req *kmsg.FetchRequest) *kmsg.FetchResponse {
			res := req.ResponseKind().(*kmsg.FetchResponse)
			res.ErrorCode = code
			return res
		}
	}
	cl := writer(t, b)
	s.steps = append(s.steps, nil, nil, fail(forgotten), nil, nil, fail(wrongEpoch), nil)
	lost := make(chan error, 10)
	r := reader(t, b, topic, func(c *stream.ReaderConfig) {
		c.MaxWait = 10 * time.Millisecond
		c.Watch.Lost = func(_ int32, err error) { lost <- err }
	})
	require.NoError(t, r.Start(t.Context(), earliest(2)))
	got := seen{}
	for i := range 10 {
		write(t, cl, topic, 2, i, i+1)
		readAll(t, r, got, 2*(i+1))
	}
	got.requireCounted(t, 2, 10)
	require.Empty(t, lost, "no connection was given up for it")
}
