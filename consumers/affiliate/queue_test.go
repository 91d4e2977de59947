package affiliate_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/events"
)

func TestLeasedStopIsHandedOutOnceUntilItsLeaseEnds(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	for _, s := range slotstest.Subjects(3) {
		w.refuses(t, s)
	}
	w.Drain(t, w.action)
	q, now := w.queue(t, "home"), time.Now().Add(time.Second)
	some, err := q.Next(ctx(), 0, now, 2)
	require.NoError(t, err)
	require.Len(t, some, 2)
	rest, err := q.Next(ctx(), 0, now, 2)
	require.NoError(t, err)
	require.Len(t, rest, 1)
	none, err := q.Next(ctx(), 0, now.Add(time.Minute-time.Millisecond), 9)
	require.NoError(t, err)
	require.Empty(t, none)

	require.NoError(t, q.Ack(ctx(), some[0]))
	again, err := w.queue(t, "home").Next(ctx(), 0, now.Add(time.Minute), 9) // another process, after a crash
	require.NoError(t, err)
	require.ElementsMatch(t, []affiliate.Stop{some[1], rest[0]}, again)
}

func TestStopIsStoredAsDocumented(t *testing.T) {
	docs, err := os.ReadFile("../../docs/services.md")
	require.NoError(t, err)
	_, example, _ := strings.Cut(string(docs), "```json\n")
	example, _, found := strings.Cut(example, "```")
	require.True(t, found)
	w := newWorld(t, slotstest.Redis(t))
	w.partners = []affiliate.Partner{{ID: "nordkino", Country: "NO", Purposes: []events.Purpose{"partner-contracts"}, Current: countingKey(t)}}
	w.start(t)
	turn := w.refuses(t, slotstest.Subject(1))
	w.Drain(t, w.action)
	text, err := w.client.HGet(ctx(), w.Slot.Prefix+"stops:nordkino", turn.Version.String()).Result()
	require.NoError(t, err)
	var want, got map[string]any
	require.NoError(t, json.Unmarshal([]byte(example), &want))
	require.NoError(t, json.Unmarshal([]byte(text), &got))
	require.Regexp(t, `^\d{4}-\d\d-\d\dT[\d:.]+Z$`, got["enqueued"])
	want["decidedBy"], want["enqueued"] = turn.Version.String(), got["enqueued"]
	require.Equal(t, want, got)
}

func TestAcknowledgedStopsAreGone(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	for _, s := range slotstest.Subjects(3) {
		w.refuses(t, s)
	}
	w.Drain(t, w.action)
	q, stops := w.queue(t, "home"), w.due(t, "home")
	require.NoError(t, q.Ack(ctx(), stops...))
	require.NoError(t, q.Ack(ctx(), stops...), "twice is harmless")
	n, err := q.Len(ctx())
	require.NoError(t, err)
	require.Zero(t, n)
	require.Zero(t, w.client.Exists(ctx(), w.Slot.Prefix+"queue:home", w.Slot.Prefix+"stops:home").Val())
	require.Len(t, w.due(t, "abroad"), 3)
}

func TestRetriedStopComesWhenItIsDueAndOnlyWhileItWaits(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	w.refuses(t, slotstest.Subject(1))
	w.Drain(t, w.action)
	q, now := w.queue(t, "home"), time.Now().Add(time.Second)
	stops, err := q.Next(ctx(), 0, now, 1)
	require.NoError(t, err)
	require.NoError(t, q.Retry(ctx(), stops[0], now.Add(time.Hour)))
	none, err := q.Next(ctx(), 0, now.Add(time.Minute), 1)
	require.NoError(t, err)
	require.Empty(t, none)
	again, err := q.Next(ctx(), 0, now.Add(time.Hour), 1)
	require.NoError(t, err)
	require.Equal(t, stops, again)

	require.NoError(t, q.Ack(ctx(), stops...))
	require.NoError(t, q.Retry(ctx(), stops[0], now))
	n, err := q.Len(ctx())
	require.NoError(t, err)
	require.Zero(t, n, "an acknowledged stop does not come back")
}

func TestUnreadableStopStaysAndHidesNoOther(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	bad, good := w.refuses(t, slotstest.Subject(1)), w.refuses(t, slotstest.Subject(2))
	w.Drain(t, w.action)
	require.NoError(t, w.client.HSet(ctx(), w.Slot.Prefix+"stops:home", bad.Version.String(), "rubbish").Err())
	stops, err := w.queue(t, "home").Next(ctx(), 0, time.Now().Add(time.Second), 9)
	require.ErrorContains(t, err, bad.Version.String())
	require.NotContains(t, err.Error(), "rubbish")
	require.Len(t, stops, 1)
	require.Equal(t, good.Version, stops[0].DecidedBy)
	n, err := w.queue(t, "home").Len(ctx())
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
}

func TestForeignStopsAreRefused(t *testing.T) {
	w := newWorld(t, slotstest.Redis(t))
	w.refuses(t, slotstest.Subject(1))
	w.Drain(t, w.action)
	foreign := w.due(t, "abroad")[0]
	require.Error(t, w.queue(t, "home").Ack(ctx(), foreign))
	require.Error(t, w.queue(t, "home").Retry(ctx(), foreign, time.Now()))
	require.Error(t, w.queue(t, "home").Ack(ctx(), affiliate.Stop{Partner: "home"}))
	_, err := w.queue(t, "home").Next(ctx(), 7, time.Now(), 1)
	require.Error(t, err)
	all := []consumers.Slot{w.Slot}
	_, err = affiliate.OpenQueue(w.client, all, "home", 0)
	require.Error(t, err)
	_, err = affiliate.OpenQueue(w.client, all, "a:b", time.Minute)
	require.Error(t, err)
}
