package guard

import (
	"sync"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

// progress is what a guard saw of the partitions so far. By itself a view is
// judged by Redis' clock alone. What was seen before tells two more things: a
// freshness that stands still is as old as this process' own clock says, whatever
// became of Redis'; and a position that goes back is of a Redis that lost writes.
type progress struct {
	partitions sync.Map // log → *seen
}

// log names one partition of one generation.
type log struct {
	generation uint32
	partition  int32
}

// seen is the newest that was seen of one partition.
type seen struct {
	mu      sync.Mutex
	next    int64
	at      time.Time // when next was seen
	fresh   events.Millis
	freshAt time.Time // when a check that saw this freshness was asked, the first one
}

// see enters a view of a check that was asked at the given time. It returns for
// how long, at least, freshness has stood still, and whether the position went
// back. Answers of checks that ran at the same time may come in any order: a
// position only counts as gone back if it was asked for after a later one was seen.
func (p *progress) see(v cache.View, asked time.Time) (still time.Duration, back bool) {
	key := log{v.Generation, v.Partition}
	known, ok := p.partitions.Load(key)
	if !ok {
		known, _ = p.partitions.LoadOrStore(key, &seen{})
	}
	s := known.(*seen)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case v.Next >= s.next:
		s.next, s.at = v.Next, time.Now()
	case asked.After(s.at):
		back = true
	}
	switch {
	case v.Fresh != s.fresh && (v.Fresh > s.fresh || asked.After(s.freshAt)):
		s.fresh, s.freshAt = v.Fresh, asked
	case v.Fresh == s.fresh:
		still = asked.Sub(s.freshAt)
	}
	return still, back
}
