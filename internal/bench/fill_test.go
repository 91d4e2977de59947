package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
)

const (
	partitions = 8
	fillers    = 8    // callers that fill a topic
	fillBatch  = 1000 // messages of one call
)

// size returns how many events a replay has: a million on real servers; fewer
// on the embedded ones, whose Redis needs half a millisecond for a script.
func size(b *testing.B) int {
	if text := os.Getenv("KELISIM_BENCH_EVENTS"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(b, err, "KELISIM_BENCH_EVENTS")
		return n
	}
	if testenv.Real() {
		return 1_000_000
	}
	return 10_000
}

// subjectName is a subject of a bench, as long as a UUID without dashes.
func subjectName(n int) string { return fmt.Sprintf("subject-%024d", n) }

// history makes n events: every one of another subject, or of n/repeat subjects
// drawn at random. Seven in ten grant five purposes, three withdraw two of them.
func history(b *testing.B, rules *events.Rules, n, repeat int) []events.Event {
	five, err := rules.Set("promotion", "contests", "surveys", "research", "targeted-ads")
	require.NoError(b, err)
	two, err := rules.Set("promotion", "research")
	require.NoError(b, err)
	rnd := rand.New(rand.NewPCG(uint64(n), uint64(repeat)))
	now := events.MillisOf(time.Now()) - events.Millis(n)
	out := make([]events.Event, n)
	for i := range out {
		who := i
		if repeat > 1 {
			who = rnd.IntN(n / repeat)
		}
		s, err := events.ParseSubject(subjectName(who))
		require.NoError(b, err)
		out[i] = events.Event{
			Method: events.ByPerson, ID: "bench-" + strconv.Itoa(i), Source: "/bench/web", Type: events.Granted, Subject: s, Purposes: five,
			Decided: now + events.Millis(i), Policy: "2026-11", Evidence: "urn:bench:evidence:0000000000000000", Data: []byte(`{"channel":"web"}`),
		}
		if rnd.IntN(10) < 3 {
			out[i].Type, out[i].Purposes, out[i].Policy = events.Withdrawn, two, ""
		}
	}
	return out
}

// fill publishes events to a topic.
func fill(b *testing.B, broker *testenv.Broker, rules *events.Rules, topic string, all []events.Event) {
	producer, err := stream.NewProducer(stream.ProducerConfig{Config: stream.Config{Brokers: []string{broker.Addr()}}})
	require.NoError(b, err)
	encoder := cloudevent.Encoder{Rules: rules, AnyData: true}
	var group errgroup.Group
	share := (len(all) + fillers - 1) / fillers
	for f := range fillers {
		mine := all[min(f*share, len(all)):min((f+1)*share, len(all))]
		group.Go(func() error {
			for len(mine) > 0 {
				n := min(fillBatch, len(mine))
				messages := make([]stream.Message, n)
				for i := range messages {
					m, err := encoder.Encode(&mine[i])
					if err != nil {
						return err
					}
					m.Topic = topic
					messages[i] = m
				}
				if _, err := producer.PublishAll(context.Background(), messages); err != nil {
					return err
				}
				mine = mine[n:]
			}
			return nil
		})
	}
	require.NoError(b, group.Wait())
	require.NoError(b, producer.Close(context.Background()))
}
