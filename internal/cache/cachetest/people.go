package cachetest

import (
	"fmt"
	"strconv"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

// Layout is what the suite's stores are laid out by: small, so that subjects
// share buckets.
func Layout() cache.Layout {
	return cache.Layout{Service: "marketing", Topic: "consent.events.v1", Generation: 1, Partitions: 4, Buckets: 8}
}

// Subjects returns n subjects of a partition, some with a UUID for a name.
func Subjects(l cache.Layout, partition int32, n int) []events.Subject {
	found := make([]events.Subject, 0, n)
	for i := 0; len(found) < n; i++ {
		id := "s-" + strconv.Itoa(i)
		if i%3 == 0 {
			id = fmt.Sprintf("0190f3c2-8a7b-7c1e-9d2f-%012x", i)
		}
		s, err := events.ParseSubject(id)
		if err != nil {
			panic(err)
		}
		if l.PartitionOf(s) == partition {
			found = append(found, s)
		}
	}
	return found
}

// Log makes the events of one partition, and folds them as the engine does.
type Log struct {
	Layout    cache.Layout
	Partition int32
	Subjects  []events.Subject
	Rules     *events.Rules
	Events    []events.Event // at their offsets
}

// NewLog returns the empty log of a partition with n subjects.
func NewLog(l cache.Layout, partition int32, n int) *Log {
	return &Log{Layout: l, Partition: partition, Subjects: Subjects(l, partition, n), Rules: events.SeedRules()}
}

// start is when the log begins; every event comes a minute after the one before.
const (
	start  events.Millis = 1_790_000_000_000
	minute events.Millis = 60_000
)

// Append appends an event of the i-th subject.
func (l *Log) Append(t events.Type, i int, purposes ...events.Purpose) {
	set, err := l.Rules.Set(purposes...)
	if err != nil {
		panic(err)
	}
	offset := int64(len(l.Events))
	decided := start + events.Millis(offset)*minute
	l.Events = append(l.Events, events.Event{
		Method: events.ByPerson, Policy: events.SeedPolicy, ID: strconv.FormatInt(offset, 10),
		Source:   "https://web.example",
		Type:     t,
		Subject:  l.Subjects[i],
		Decided:  decided,
		Purposes: set,
		Logged:   events.Stamp{Position: l.At(offset), Appended: decided + 20},
	})
}

// At returns the position of an offset.
func (l *Log) At(offset int64) events.Position {
	return events.Position{Generation: l.Layout.Generation, Partition: l.Partition, Offset: offset}
}

// Fold folds the events of a range onto states, and returns the changes; the
// states are the new ones then. Every change is to be acted on.
func (l *Log) Fold(states map[events.Subject]events.State, from, to int64) []cache.Change {
	var changes []cache.Change
	place := make(map[events.Subject]int)
	for offset := from; offset < to; offset++ {
		e := &l.Events[offset]
		before := states[e.Subject]
		after, _ := l.Rules.Apply(before, e)
		if after == before {
			continue
		}
		states[e.Subject] = after
		at, again := place[e.Subject]
		if !again {
			at, place[e.Subject] = len(changes), len(changes)
			changes = append(changes, cache.Change{Subject: e.Subject, Prev: before, Act: true})
		}
		changes[at].State = after
	}
	return changes
}

// Batch folds a range onto states and wraps it up.
func (l *Log) Batch(states map[events.Subject]events.State, epoch, from, to int64) cache.Batch {
	return cache.Batch{Partition: l.Partition, Epoch: epoch, From: from, To: to, Changes: l.Fold(states, from, to)}
}
