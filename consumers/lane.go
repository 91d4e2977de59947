package consumers

import "github.com/kelisim/kelisim/events"

// lanes is how many writers store windows, each for its share of the partitions:
// two keep one Redis thread busy, for one encodes while Redis works for the
// other; four add nothing (measured).
const lanes = 2

// lane is a share of the partitions: the window that is open for them, and the
// way to their writer.
type lane struct {
	window window
	idle   chan struct{} // from the writer: it can take a window
	sealed chan []batch  // to it
}

// newLane makes room for one window on the way: at the end of a session a writer
// may leave after its offer, and the reader must not wait for it then.
func newLane() *lane { return &lane{idle: make(chan struct{}), sealed: make(chan []batch, 1)} }

// ready returns the writer's offer to take a window, if there is one to give.
func (l *lane) ready(behind int64) <-chan struct{} {
	if l.window.empty() || !l.window.ripe(behind) {
		return nil
	}
	return l.idle
}

// seal gives the window to the writer, which has offered to take it, and opens
// another.
func (l *lane) seal(serves events.PurposeSet, behind int64) {
	l.sealed <- l.window.close(serves, behind >= farBehind)
	l.window = window{}
}
