package consumers

import "github.com/kelisim/kelisim/events/policy"

// lanes is how many readers fold and writers store, each for its share of the
// partitions: two keep one Redis thread busy, for one encodes while Redis works
// for the other; four add nothing (measured).
const lanes = 2

// lane is a share of the partitions on its way from the poller to its reader, into
// the window that is open, and on to its writer.
type lane struct {
	fetches chan delivery // from the poller to the reader
	window  window        // the reader's
	before  int           // windows that were sealed before it
	idle    chan struct{} // from the writer: it can take a window
	sealed  chan []batch  // to it
	again   chan lost     // from it: partitions to read again
	wishes  chan wished   // from it: partitions to leave alone for a while
}

// laneOf returns the lane of a partition.
func laneOf(partition int32) int { return int(partition) % lanes }

// newLane makes room for one window on the way: at the end of a session a writer
// may leave after its offer, and the reader must not wait for it then.
func newLane() *lane {
	return &lane{
		fetches: make(chan delivery, 1), // one lane may be busy while the other takes the next
		idle:    make(chan struct{}), sealed: make(chan []batch, 1), again: make(chan lost), wishes: make(chan wished),
	}
}

// ready returns the writer's offer to take a window, if there is one to give.
func (l *lane) ready(behind int64) <-chan struct{} {
	if l.window.empty() || !l.window.ripe(behind, l.before) {
		return nil
	}
	return l.idle
}

// seal gives the window to the writer, which has offered to take it, and opens
// another.
func (l *lane) seal(due trigger, by *policy.Edition, behind int64) {
	l.sealed <- l.window.close(due, by, behind >= farBehind)
	l.window = window{}
	l.before++
}
