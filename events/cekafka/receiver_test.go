package cekafka_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/protocol"
	protocoltest "github.com/cloudevents/sdk-go/v2/protocol/test"
	"github.com/cloudevents/sdk-go/v2/test"
	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelisim/kelisim/events/cekafka"
)

// memoryLog is a topic of one partition, its writer and its reader.
type memoryLog struct {
	refuse error // of writes and commits

	mu        sync.Mutex
	records   []kafka.Message
	committed []int64
	arrived   chan kafka.Message
}

func newMemoryLog(records ...kafka.Message) *memoryLog {
	l := &memoryLog{arrived: make(chan kafka.Message, 1024)}
	for _, r := range records {
		l.arrived <- r
	}
	return l
}

func (l *memoryLog) WriteMessages(_ context.Context, messages ...kafka.Message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		return l.refuse
	}
	for _, m := range messages {
		m.Offset = int64(len(l.records))
		l.records = append(l.records, m)
		if l.arrived != nil {
			l.arrived <- m
		}
	}
	return nil
}

func (l *memoryLog) FetchMessage(ctx context.Context) (kafka.Message, error) {
	select {
	case m, open := <-l.arrived:
		if !open {
			return kafka.Message{}, io.EOF
		}
		return m, nil
	case <-ctx.Done():
		return kafka.Message{}, ctx.Err()
	}
}

func (l *memoryLog) CommitMessages(_ context.Context, messages ...kafka.Message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		return l.refuse
	}
	for _, m := range messages {
		l.committed = append(l.committed, m.Offset)
	}
	return nil
}

func at(offset int64) kafka.Message {
	m := message(someData, valid()...)
	m.Topic, m.Offset = "topic", offset
	return m
}

func receive(t testing.TB, r *cekafka.Receiver) *cekafka.Message {
	m, err := r.Receive(context.Background())
	require.NoError(t, err)
	return m.(*cekafka.Message)
}

// TestSenderAndReceiverPassTheSDKProtocolSuite: its SendReceive waits a second
// for each event, so they run side by side.
func TestSenderAndReceiverPassTheSDKProtocolSuite(t *testing.T) {
	for name, force := range map[string]func(context.Context) context.Context{
		"binary": binding.WithForceBinary, "structured": binding.WithForceStructured,
	} {
		for _, e := range test.Events() {
			t.Run(name+"/"+e.ID(), func(t *testing.T) {
				t.Parallel()
				log := newMemoryLog()
				want := test.ConvertEventExtensionsToString(t, e)
				protocoltest.SendReceive(t, force(t.Context()), binding.ToMessage(&want), cekafka.NewSender(log), cekafka.NewReceiver(log),
					func(out binding.Message) {
						got := test.ConvertEventExtensionsToString(t, test.MustToEvent(t, t.Context(), out))
						test.AssertEventEquals(t, want, got)
					})
				require.Equal(t, []int64{0}, log.committed)
			})
		}
	}
}

// TestCommitWaitsForAllBefore: Kafka keeps one offset per partition, and
// committing a later record would lose an earlier one on a restart.
func TestCommitWaitsForAllBefore(t *testing.T) {
	log := newMemoryLog(at(10), at(11), at(15)) // offsets of a compacted topic have gaps
	r := cekafka.NewReceiver(log)
	first, second, third := receive(t, r), receive(t, r), receive(t, r)
	require.NoError(t, third.Finish(nil))
	require.NoError(t, second.Finish(nil))
	require.Empty(t, log.committed)
	require.NoError(t, first.Finish(nil))
	require.Equal(t, []int64{15}, log.committed)
	require.NoError(t, first.Finish(nil))
	require.Equal(t, []int64{15}, log.committed, "finished once is finished")
}

// TestRefusedMessageHoldsTheCommit until it is delivered again.
func TestRefusedMessageHoldsTheCommit(t *testing.T) {
	log := newMemoryLog(at(0), at(1), at(2), at(1), at(2))
	r := cekafka.NewReceiver(log)
	require.NoError(t, receive(t, r).Finish(nil))
	require.NoError(t, receive(t, r).Finish(errors.New("cannot be handled")))
	late := receive(t, r)
	require.Equal(t, []int64{0}, log.committed)

	again := receive(t, r) // a rebalance: 1 again
	require.NoError(t, late.Finish(nil))
	require.Equal(t, []int64{0}, log.committed, "of the old assignment")
	require.NoError(t, again.Finish(protocol.ResultACK))
	require.NoError(t, receive(t, r).Finish(nil))
	require.Equal(t, []int64{0, 1, 2}, log.committed)
}

// TestCommitsOfAnOldAssignmentAreLeftOut: the partition may be another's by now,
// and further on.
func TestCommitsOfAnOldAssignmentAreLeftOut(t *testing.T) {
	log := newMemoryLog(at(5), at(5))
	r := cekafka.NewReceiver(log)
	old, again := receive(t, r), receive(t, r)
	require.NoError(t, old.Finish(nil))
	require.Empty(t, log.committed)
	require.NoError(t, again.Finish(nil))
	require.Equal(t, []int64{5}, log.committed)
}

// TestCommitsOfManyGoroutinesMoveForward, also when one is slow.
func TestCommitsOfManyGoroutinesMoveForward(t *testing.T) {
	const n = 400
	log := newMemoryLog()
	for i := range n {
		log.arrived <- at(int64(i))
	}
	r := cekafka.NewReceiver(log)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range n / 8 {
				m, err := r.Receive(t.Context())
				if err == nil {
					err = m.Finish(nil)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	require.IsIncreasing(t, log.committed)
	require.Equal(t, int64(n-1), log.committed[len(log.committed)-1])
}

// TestFailedCommitIsReportedAndMadeUpForByTheNext.
func TestFailedCommitIsReportedAndMadeUpForByTheNext(t *testing.T) {
	log := newMemoryLog(at(0), at(1))
	r := cekafka.NewReceiver(log)
	lost := errors.New("coordinator gone")
	log.refuse = lost
	require.ErrorIs(t, receive(t, r).Finish(nil), lost)
	log.refuse = nil
	require.NoError(t, receive(t, r).Finish(nil))
	require.Equal(t, []int64{1}, log.committed)
}

// TestCommitsCoverOnlyWhatIsDone for any order of finishing and any failures.
func TestCommitsCoverOnlyWhatIsDone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(rt, "records")
		log := newMemoryLog()
		for i := range n {
			log.arrived <- at(int64(i))
		}
		r := cekafka.NewReceiver(log)
		var open []*cekafka.Message
		for range n {
			open = append(open, receive(t, r))
		}
		acked := make([]bool, n)
		for _, i := range rapid.Permutation(indexes(n)).Draw(rt, "order") {
			var result error
			if rapid.IntRange(0, 9).Draw(rt, "fails") == 0 {
				result = protocol.ResultNACK
			}
			acked[i] = result == nil
			require.NoError(t, open[i].Finish(result))
		}
		done := int64(-1) // the last of the unbroken row of acknowledged records
		for done+1 < int64(n) && acked[done+1] {
			done++
		}
		last := int64(-1)
		for _, offset := range log.committed {
			require.Greater(t, offset, last, "commits only move forward")
			last = offset
		}
		require.Equal(t, done, last)
	})
}

// TestPartitionsAreCommittedApart.
func TestPartitionsAreCommittedApart(t *testing.T) {
	other := at(0)
	other.Partition = 1
	log := newMemoryLog(at(7), other)
	r := cekafka.NewReceiver(log)
	held := receive(t, r)
	require.NoError(t, receive(t, r).Finish(nil))
	require.Equal(t, []int64{0}, log.committed)
	require.NoError(t, held.Finish(nil))
	require.Equal(t, []int64{0, 7}, log.committed)
}

// TestReceiverEnds: EOF when the reader is closed, the context's error when the
// caller gives up, also while another goroutine holds the fetch.
func TestReceiverEnds(t *testing.T) {
	log := newMemoryLog()
	r := cekafka.NewReceiver(log)
	held, release := context.WithCancel(t.Context())
	fetching := make(chan error, 1)
	go func() {
		_, err := r.Receive(held)
		fetching <- err
	}()
	given, up := context.WithCancel(t.Context())
	up()
	_, err := r.Receive(given)
	require.ErrorIs(t, err, context.Canceled)
	release()
	require.ErrorIs(t, <-fetching, context.Canceled)
	close(log.arrived)
	_, err = r.Receive(t.Context())
	require.Equal(t, io.EOF, err)
}

func indexes(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}
