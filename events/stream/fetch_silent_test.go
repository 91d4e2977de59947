//go:build !real

package stream_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/kelisim/kelisim/events/stream"
)

func TestBrokerThatNeverAnswersIsNoticedAndClosingDoesNotWaitForIt(t *testing.T) {
	block := make(chan struct{})
	s := &script{}
	b, topic := s.broker(t, 1)
	ignore := goleak.IgnoreCurrent()
	s.steps = append(s.steps, func(*kmsg.FetchRequest) *kmsg.FetchResponse {
		b.Fake().SleepControl(func() { <-block })
		return nil
	})
	lost := make(chan stream.Stall, 10)
	r, err := stream.NewReader(stream.ReaderConfig{
		Config: stream.Config{Brokers: b.Addrs()}, Topic: topic, MaxWait: 100 * time.Millisecond,
		Stall: 500 * time.Millisecond, Watch: stream.Watch{Stall: func(s stream.Stall) { lost <- s }},
	})
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), map[int32]int64{0: 0}))
	require.Equal(t, []int32{0}, (<-lost).Partitions)
	began := time.Now()
	r.Close()
	require.Less(t, time.Since(began), time.Second)
	require.Eventually(t, func() bool { return !waitsForAnswer() }, time.Second, time.Millisecond, "the connection is given up at once")
	close(block)
	b.Stop(t)
	// A request that the broker was about to hold back when it was stopped waits in it for ever.
	goleak.VerifyNone(t, ignore, goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*Cluster).runControl.func1"))
}

// waitsForAnswer tells whether a goroutine of this process waits for the answer to a request of ours.
func waitsForAnswer() bool {
	stacks := make([]byte, 4<<20)
	return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "stream.(*exchange).RawExchange")
}
