package affiliate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
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
