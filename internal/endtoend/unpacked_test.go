package endtoend

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/testservice"
)

// idleAction has nothing to stop.
type idleAction struct{}

func (idleAction) Act(context.Context, consumers.Slot, []consumers.Turn) error { return nil }

// said is what a logger was told.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) contains(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.text.String(), text)
}

// A batch that unpacks to more than is allowed hides what is in it: its partition
// stands still, and goes on once somebody gives it the memory.
func TestBatchThatUnpacksTooLargeIsReadWithMoreMemory(t *testing.T) {
	w := newTown(t)
	const p, most = 1, 1 << 20
	log := new(said)
	start := func(unpack int) *testservice.Service {
		return testservice.Start(t, testservice.Config{
			Service: consumers.Service{Name: "second", Purposes: []events.Purpose{"promotion"}, Action: idleAction{}},
			Kafka:   w.broker.Addr(), Redis: w.client, Topics: w.topics, Buckets: 8, Unpack: unpack, Logger: slog.New(slog.NewTextHandler(log, nil)),
		})
	}
	service := start(most)
	service.Wait(t, inTown)
	stands, before := service.Marks()[p].Next, service.Marks()[p+1].Next

	r := w.withdrawal(w.person(w.neighbour(p, 0)))
	r.Value = make([]byte, 2*most)
	require.NoError(t, w.poisoner(kgo.GzipCompression()).ProduceSync(t.Context(), r).FirstErr())
	require.Equal(t, stands, r.Offset)
	w.decide(events.Withdrawn, "", w.neighbour(p, 20), w.neighbour(p+1, 20))
	require.Eventually(t, func() bool { return log.contains("partition stands still") }, 30*time.Second, 10*time.Millisecond)
	require.True(t, log.contains("decompressed batch above the limit"))
	require.Eventually(t, func() bool { return service.Marks()[p+1].Next > before }, 30*time.Second, 10*time.Millisecond, "others go on")
	require.Equal(t, stands, service.Marks()[p].Next)
	service.Stop(t)

	service = start(4 * most)
	defer service.Stop(t)
	service.Wait(t, inTown+3)
	require.NotNil(t, w.copyOf(events.Position{Generation: 1, Partition: p, Offset: r.Offset}))
}
