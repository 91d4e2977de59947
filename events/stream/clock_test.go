package stream

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// world is a true time, this machine's clock and some brokers' clocks, all of which the test moves.
type world struct {
	elapsed time.Duration           // true time since the start
	origin  time.Time               // carries a monotonic reading, as time.Now does
	brokers map[int32]time.Duration // ahead of the machine by
	drift   float64                 // of the brokers against the machine
}

// newWorld begins on a whole millisecond, so that what is drawn decides where milliseconds are cut.
func newWorld() *world {
	origin := time.Now()
	whole := time.Duration(origin.Nanosecond()) % time.Millisecond
	return &world{origin: origin.Add(-whole), brokers: make(map[int32]time.Duration)}
}

func (w *world) now() time.Time { return w.origin.Add(w.elapsed) }

func (w *world) broker(b int32) time.Time {
	return w.now().Round(0).Add(w.brokers[b]).Add(time.Duration(float64(w.elapsed) * w.drift))
}

// publish lets a request take some time to the broker and back, and gives the clock the answer.
func (w *world) publish(c *clock, b int32, there, back time.Duration) {
	sent := w.now()
	w.elapsed += there
	appended := w.broker(b).UnixMilli()
	w.elapsed += back
	c.observe(b, appended, sent, w.now())
}

// TestStampIsNeverAheadOfAnyBroker is the promise: whatever the brokers' clocks show, whatever a request takes, and
// however long nothing was measured.
func TestStampIsNeverAheadOfAnyBroker(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		w.elapsed = time.Duration(rapid.Int64Range(0, int64(time.Millisecond)-1).Draw(t, "phase"))
		w.drift = rapid.Float64Range(-clockDrift, clockDrift).Draw(t, "drift")
		n := int32(rapid.IntRange(1, 3).Draw(t, "brokers"))
		for b := range n {
			w.brokers[b] = time.Duration(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)).Draw(t, "offset"))
		}
		c := newClock(w.now)
		some := func(most time.Duration, what string) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, what))
		}
		known := map[int32]bool{}
		var last time.Time
		for range rapid.IntRange(1, 30).Draw(t, "requests") {
			b := rapid.Int32Range(0, n-1).Draw(t, "broker")
			w.publish(c, b, some(50*time.Millisecond, "there"), some(50*time.Millisecond, "back"))
			w.elapsed += some(time.Hour, "pause")
			isNew := !known[b]
			known[b] = true
			stamp, reading := c.stamp(), c.reading()
			require.True(t, reading.Known)
			require.Zero(t, reading.Jumps, "nobody set a clock")
			for b := range known {
				require.False(t, stamp.After(w.broker(b)), "ahead of broker %d by %v", b, stamp.Sub(w.broker(b)))
				offset := w.broker(b).Sub(w.now().Round(0))
				require.LessOrEqual(t, reading.Behind, offset)
				require.GreaterOrEqual(t, reading.Ahead, offset)
			}
			if !isNew {
				require.False(t, stamp.Before(last), "went back by %v", last.Sub(stamp))
			}
			last = stamp
		}
	})
}

// Half a nanosecond that was cut off at every measurement was enough for a stamp ahead of a broker.
func TestBoundsGiveWayByNoLessThanClocksMayDrift(t *testing.T) {
	const step, steps = 15 * time.Microsecond, 1000 // a step is worth a nanosecond and a half
	b := clockBounds{}
	for i := range time.Duration(steps) {
		b = b.aged((i + 1) * step)
	}
	drift := time.Duration(step.Seconds() * steps * clockDrift * float64(time.Second))
	require.GreaterOrEqual(t, b.most, drift)
	require.LessOrEqual(t, b.least, -drift)
}

// A record that is appended at once, and whose answer takes ten seconds: its broker may have run ahead by a millisecond
// meanwhile.
func TestASlowAnswerBoundsABrokerThatDrifts(t *testing.T) {
	w := newWorld()
	w.drift = clockDrift
	w.brokers[1] = time.Millisecond - 1 // cut off by the append time
	c := newClock(w.now)
	w.publish(c, 1, 0, 10*time.Second)
	require.GreaterOrEqual(t, c.reading().Ahead, w.broker(1).Sub(w.now().Round(0)))
}

func TestStampFollowsTheBrokerAndNotThisMachine(t *testing.T) {
	for _, offset := range []time.Duration{0, -time.Hour, time.Hour, -37 * time.Second} {
		w := newWorld()
		w.brokers[1] = offset
		c := newClock(w.now)
		for range 20 {
			w.publish(c, 1, 200*time.Microsecond, 300*time.Microsecond)
			w.elapsed += 1537 * time.Microsecond // so that the milliseconds are cut elsewhere each time
		}
		require.WithinDuration(t, w.broker(1), c.stamp(), time.Millisecond, "broker %v ahead", offset)
	}
}

func TestUnmeasuredClockIsTakenToBeAhead(t *testing.T) {
	w := newWorld()
	c := newClock(w.now)
	require.Equal(t, ClockReading{}, c.reading())
	require.Equal(t, w.now().Round(0).UTC().Add(-clockUncertainty), c.stamp())
}

func TestSlowestBrokerDecides(t *testing.T) {
	w := newWorld()
	w.brokers[2] = -5 * time.Second
	c := newClock(w.now)
	w.publish(c, 1, time.Millisecond, time.Millisecond)
	w.publish(c, 2, time.Millisecond, time.Millisecond)
	w.publish(c, 1, time.Millisecond, time.Millisecond)
	require.False(t, c.stamp().After(w.broker(2)))
	require.Zero(t, c.reading().Jumps, "brokers that disagree are no jump")
}

func TestBrokerWhoseClockWasSetIsBelievedAtOnce(t *testing.T) {
	w := newWorld()
	c := newClock(w.now)
	w.publish(c, 1, time.Millisecond, time.Millisecond)
	for i, step := range []time.Duration{-10 * time.Second, 20 * time.Second} {
		w.brokers[1] += step
		w.publish(c, 1, time.Millisecond, time.Millisecond)
		require.WithinDuration(t, w.broker(1), c.stamp(), 4*time.Millisecond)
		require.False(t, c.stamp().After(w.broker(1)))
		require.EqualValues(t, i+1, c.reading().Jumps)
	}
}
