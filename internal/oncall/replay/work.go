package replay

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// Work is a plan that was found to fit the world: nothing of it is written yet.
// The caller closes it.
type Work struct {
	bench *Bench
	plan  *Plan
	done  *checkpoint
	parts []*workPart
	open  []*history
}

// workPart is what is to be done in one partition of one service.
type workPart struct {
	service string
	history *history
	mends   map[events.Subject]*Mend
	people  []events.Subject // in their order
	since   int64            // position of the cache when the plan was made
	holds   []dueHold
	counts  Counts

	expected Expected
}

func (w *workPart) name() string { return fmt.Sprintf("%s/%d", w.service, w.history.partition) }

// Close gives up what the work holds open.
func (w *Work) Close() {
	for _, h := range w.open {
		h.close()
	}
	w.open = nil
}

// planned is what a plan says of one partition of one service.
type planned struct {
	mends map[string]*Mend // by subject
	holds []LostHold
}

// planned returns what is planned in a partition and not done yet, by service.
func (w *Work) planned(partition int32) map[string]*planned {
	out := make(map[string]*planned)
	of := func(service string) *planned {
		if _, done := w.done.Done[fmt.Sprintf("%s/%d", service, partition)]; done {
			return nil
		}
		if out[service] == nil {
			out[service] = &planned{mends: make(map[string]*Mend)}
		}
		return out[service]
	}
	for i := range w.plan.Mends {
		if m := &w.plan.Mends[i]; m.Partition == partition {
			if to := of(m.Service); to != nil {
				to.mends[m.Subject] = m
			}
		}
	}
	for _, l := range w.plan.Holds {
		if l.Partition == partition {
			if to := of(l.Service); to != nil {
				to.holds = append(to.holds, l)
			}
		}
	}
	return out
}

// next returns where a cache stood when the plan was made.
func (w *Work) next(service string, partition int32) int64 {
	for i := range w.plan.Services {
		if s := &w.plan.Services[i]; s.Service == service {
			for j := range s.Parts {
				if s.Parts[j].Partition == partition {
					return s.Parts[j].Next
				}
			}
		}
	}
	return 0
}

// take opens a part of the work, once every subject of it was looked at.
func (w *Work) take(ctx context.Context, h *history, service string, of *planned, people map[string]events.Subject) error {
	part := &workPart{service: service, history: h, mends: make(map[events.Subject]*Mend, len(of.mends)), since: w.next(service, h.partition)}
	gone := exit.Refuse("partition %d: the log no longer names a subject that the plan is about", h.partition)
	for _, print := range slices.Sorted(maps.Keys(of.mends)) {
		who, met := people[print]
		if !met {
			return gone
		}
		part.mends[who], part.people = of.mends[print], append(part.people, who)
	}
	for _, l := range of.holds {
		who, met := people[l.Subject]
		at, err := events.ParsePosition(l.At)
		if !met || err != nil {
			return gone
		}
		part.holds = append(part.holds, dueHold{who, at})
	}
	part.expected.Due += len(part.holds)
	found, err := w.bench.survey(ctx, h, service, part.people)
	if err != nil {
		return err
	}
	for i := range found {
		switch w.judge(part, &found[i]) {
		case due:
			part.expected.Due++
		case settled:
			part.expected.Settled++
		case movedOn:
			part.expected.MovedOn++
		case foreign:
			return exit.Refuse("partition %d of %s: the state of %v is neither what the plan saw nor what it wants, and no event says why: make a new plan",
				h.partition, service, found[i].who)
		}
	}
	w.parts = append(w.parts, part)
	return nil
}

// standing is how a planned mend relates to the world.
type standing int

const (
	due     standing = iota // as planned
	settled                 // right already
	movedOn                 // an event of the subject came, and the plan no longer says how it stands
	foreign                 // something else wrote it
)

func (w *Work) judge(part *workPart, f *finding) standing {
	m := part.mends[f.who]
	switch {
	case f.unknown: // the snapshots know an event that the service has not applied
		return movedOn
	case !f.differs:
		return settled
	case fingerprint(w.plan.Salt, []byte(f.stored)) == m.Stored && fingerprint(w.plan.Salt, f.right.state.Bytes()) == m.Right:
		return due
	case part.history.touched(f.who, part.since):
		return movedOn
	}
	return foreign
}
