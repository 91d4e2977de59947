package consumers

import (
	"sync"
	"time"

	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/cache"
)

const (
	// actWithin is how long an action may wait while its partition is far behind:
	// DESIGN P1's X. The guard denies there as stale, and every desk takes every
	// subject for doubtful, so that deciding first harms nobody.
	actWithin = 5 * time.Second
	// actEnough turns are acted on though they are younger: it bounds the outbox, at
	// some 50 MB, and leaves room in maxTurns for what comes meanwhile.
	actEnough = 3 << 17
	// maxTurns bounds the turns in memory, some 250 bytes each with their states.
	// Beyond, the outbox keeps them, and they are read from there.
	maxTurns = 1 << 19
)

// duty is what is to be acted on in one partition: turns as they were stored, or
// whatever the outbox holds. The turns spare reading it; after a start, a flush
// or a crash only the outbox knows.
type duty struct {
	turns []cache.Pending
	since time.Time // when the first of them was stored
	to    int64     // position of the cache then
	far   bool      // the log goes on far beyond
	ask   bool      // the outbox may hold more than the turns

	edition *policy.Edition // to act by from now on; nil: as before
	epoch   int64           // that it was announced under
	vacant  bool            // and there is nobody whom it concerns
}

// ripe says whether to act now.
func (d *duty) ripe(now time.Time, turns int) bool {
	return d.ask || !d.far || turns >= actEnough || now.Sub(d.since) >= actWithin
}

// duties are those of all partitions that have any.
type duties struct {
	woken chan struct{} // there may be a ripe one

	mu    sync.Mutex
	parts map[int32]*duty
	turns int // over all partitions
}

func newDuties() *duties {
	return &duties{woken: make(chan struct{}, 1), parts: make(map[int32]*duty)}
}

// add takes over the turns of a stored batch. It never waits.
func (d *duties) add(b *batch, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !b.acts && !b.turned && d.parts[b.Partition] == nil {
		return
	}
	part := d.of(b.Partition)
	if b.turned { // what is in the outbox is ours now, whoever put it there
		part.edition, part.epoch, part.vacant = b.edition, b.Epoch, b.vacant
		d.spill(part)
	}
	if len(part.turns) == 0 {
		part.since = now
	}
	part.to, part.far = b.To, b.far
	for i := range b.Changes {
		c := &b.Changes[i]
		if !c.Act || part.ask {
			continue // whoever reads the outbox finds it there
		}
		if d.turns == maxTurns {
			d.spill(part)
			continue
		}
		version, _ := c.State.Version()
		part.turns = append(part.turns, cache.Pending{Subject: c.Subject, State: c.State, Offset: version.Offset})
		d.turns++
	}
	if part.ripe(now, d.turns) {
		d.wake()
	}
}

// take returns the ripe duties, each once, and how long to wait for the next.
func (d *duties) take(now time.Time) (ripe map[int32]*duty, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ripe, wait = make(map[int32]*duty), actWithin
	turns := d.turns
	for partition, part := range d.parts {
		if !part.ripe(now, turns) {
			wait = min(wait, actWithin-now.Sub(part.since))
			continue
		}
		ripe[partition] = part
		d.turns -= len(part.turns)
		delete(d.parts, partition)
	}
	return ripe, wait
}

func (d *duties) of(partition int32) *duty {
	part := d.parts[partition]
	if part == nil {
		part = &duty{}
		d.parts[partition] = part
	}
	return part
}

// spill leaves a partition's turns to the outbox.
func (d *duties) spill(part *duty) {
	d.turns -= len(part.turns)
	part.turns, part.ask = nil, true
}

func (d *duties) wake() {
	select {
	case d.woken <- struct{}{}:
	default: // it is awake and has yet to look
	}
}
