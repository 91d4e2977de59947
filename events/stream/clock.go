package stream

import (
	"math"
	"sync"
	"time"
)

// clockDrift is how fast, at most, two undisturbed clocks drift apart: 50 ppm
// each is what the crystals of ordinary machines are specified for. A measured
// bound is loosened by this much for every second that has passed since.
const clockDrift = 100e-6

// clockUncertainty is how far a clock that was never measured is taken to be
// ahead: the clock uncertainty of the order rule, 500 ms by default.
const clockUncertainty = 500 * time.Millisecond

// ClockReading says what is known of this machine's clock against the brokers'.
// The zero reading knows nothing.
type ClockReading struct {
	// Known tells whether any broker's clock has been measured yet.
	Known bool
	// Behind and Ahead bound the brokers' clocks minus this machine's, now:
	// every broker's time lies between time.Now()+Behind and time.Now()+Ahead.
	// Behind is negative when a broker may be behind us. Where brokers disagree
	// the bounds span all of them.
	Behind, Ahead time.Duration
	// Age is how long ago the last measurement was made.
	Age time.Duration
	// Jumps counts the measurements that contradicted the ones before: somebody
	// set a clock.
	Jumps uint64
}

// clock measures brokers' clocks by the append times in their answers. A record
// is appended after its request has left and before the answer is here, and the
// append time is the broker's, cut to the millisecond. So each answer bounds the
// broker's clock minus ours:
//
//	appended - received  <=  offset  <  appended + 1ms - sent
//
// The upper one also gets what clocks drift until the answer is here: the record
// may have been appended at once.
//
// The bounds of one broker are intersected, loosened by what clocks may drift
// meanwhile. Our own side is the monotonic clock, so that setting this machine's
// time changes no stamp.
type clock struct {
	start time.Time // wall and monotonic: the zero of our side
	now   func() time.Time

	mu      sync.Mutex
	brokers map[int32]clockBounds
	jumps   uint64
}

// clockBounds bound one broker's clock minus ours, as they were at the time of
// measuring; all three are durations since clock.start.
type clockBounds struct {
	least, most time.Duration
	at          time.Duration
}

func newClock(now func() time.Time) *clock {
	return &clock{start: now(), now: now, brokers: make(map[int32]clockBounds)}
}

// observe takes in one answer. sent is when the request first left, received
// when the answer was here; both carry the monotonic clock.
func (c *clock) observe(broker int32, appendedMillis int64, sent, received time.Time) {
	appended := time.UnixMilli(appendedMillis).Sub(c.start.Round(0)) // on the wall scale
	fresh := clockBounds{
		least: appended - received.Sub(c.start),
		most:  appended + time.Millisecond - sent.Sub(c.start) + drifted(received.Sub(sent)),
		at:    received.Sub(c.start),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old, ok := c.brokers[broker]
	if ok {
		old = old.aged(fresh.at)
		both := clockBounds{least: max(old.least, fresh.least), most: min(old.most, fresh.most), at: fresh.at}
		if both.least <= both.most {
			c.brokers[broker] = both
			return
		}
		c.jumps++
	}
	c.brokers[broker] = fresh
}

// aged loosens the bounds to what they are worth at a later time: by no less than
// clocks may have drifted, however often it is done.
func (b clockBounds) aged(now time.Duration) clockBounds {
	if drift := drifted(now - b.at); drift > 0 {
		b.least, b.most, b.at = b.least-drift, b.most+drift, now
	}
	return b
}

// drifted is how far two clocks may drift apart in a time.
func drifted(in time.Duration) time.Duration {
	return time.Duration(math.Ceil(float64(in) * clockDrift))
}

// bounds gives the bounds over all brokers at a moment of our side, and how old
// the newest of them is; ok is false when no broker has been measured.
func (c *clock) bounds(since time.Duration) (all clockBounds, age time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.brokers {
		since := max(since, b.at)
		if loose := b.aged(since); !ok {
			all, age, ok = loose, since-b.at, true
		} else {
			all.least, all.most = min(all.least, loose.least), max(all.most, loose.most)
			age = min(age, since-b.at)
		}
	}
	return all, age, ok
}

// reading compares the brokers' clocks with this machine's.
func (c *clock) reading() ClockReading {
	now := c.now()
	since := now.Sub(c.start)
	set := since - now.Round(0).Sub(c.start.Round(0)) // how far our clock was set back meanwhile
	all, age, ok := c.bounds(since)
	if !ok {
		return ClockReading{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return ClockReading{Known: true, Behind: all.least + set, Ahead: all.most + set, Age: age, Jumps: c.jumps}
}

// stamp is the latest time that every broker's clock is known to have reached.
func (c *clock) stamp() time.Time {
	now := c.now()
	since := now.Sub(c.start)
	all, _, ok := c.bounds(since)
	if !ok {
		return now.Round(0).UTC().Add(-clockUncertainty)
	}
	return c.start.Round(0).UTC().Add(since + all.least)
}
