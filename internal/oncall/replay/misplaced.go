package replay

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/fold"
)

// maxStrays bounds the strays of a replay, at some 200 bytes each: there
// are never many, since each is one that a person has to look at.
const maxStrays = 250_000

// stray is an event that its subject's history does not tell of: it stands in another
// partition than its subject's, or under another key. Services put it aside, and it
// holds the subject.
type stray struct {
	who   events.Subject
	first events.Position // what the hold is known by
	at    events.Position
}

// straysOf returns whom a record holds as a stray: who its key says, and whom it names
// where it cannot be read. e is nil then, and kind is what it says of itself all the same.
func (b *Bench) straysOf(r *stream.Record, who, named events.Subject, e *events.Event, kind events.Type) (all []stray) {
	if kind != 0 && !kind.Restricts() {
		return nil
	}
	s := stray{at: events.Position{Generation: b.Generation, Partition: r.Partition, Offset: r.Offset}}
	if s.first = s.at; e != nil && !e.First.IsZero() {
		s.first = e.First.Position
	}
	if !who.IsZero() && events.PartitionOf(r.Key, b.Partitions) != r.Partition {
		s.who = who
		all = append(all, s)
	}
	if !named.IsZero() && named != who {
		s.who = named
		all = append(all, s)
	}
	return all
}

// planStrays adds the holds of strays that services lost. Each is judged
// by the history of its subject, in the subject's own partition: it may have been
// redriven there.
func (b *Bench) planStrays(ctx context.Context, p *Plan, strays []stray, ends map[int32]stream.Offsets) error {
	if len(strays) > maxStrays {
		return exit.Refuse("%d events in wrong partitions or under wrong keys in the range: at most %d; choose a smaller one", len(strays), maxStrays)
	}
	by := make(map[int32][]stray)
	for _, s := range strays {
		own := events.PartitionOf(s.who.Reveal(), b.Partitions)
		by[own] = append(by[own], s)
	}
	for _, own := range slices.Sorted(maps.Keys(by)) {
		if err := b.planStraysOf(ctx, p, own, by[own], ends[own]); err != nil {
			return fmt.Errorf("partition %d: %w", own, err)
		}
	}
	return nil
}

func (b *Bench) planStraysOf(ctx context.Context, p *Plan, own int32, strays []stray, end stream.Offsets) error {
	ids := make(map[string]bool, len(strays))
	for _, s := range strays {
		ids[s.who.Reveal()] = true
	}
	services := slices.Sorted(maps.Keys(b.Caches))
	h, sights, err := b.open(ctx, own, end, services, func(key []byte) bool { return ids[string(key)] })
	if err != nil || h == nil {
		return err
	}
	defer h.close()
	for i, service := range services {
		if !sights[service].Known {
			continue // it is being built from the log, which lays what it meets
		}
		due := slices.DeleteFunc(slices.Clone(strays), func(s stray) bool { return h.released(s) })
		lost, err := b.lostStrays(ctx, service, due)
		if err != nil {
			return err
		}
		p.Services[i].Misplaced += p.addHolds(service, own, lost)
	}
	return nil
}

// released says whether the log says so, or a snapshot may.
func (h *history) released(s stray) bool {
	hold := fold.Hold{Subject: s.who, At: s.first}
	held := h.fold.Holds[hold]
	if held == nil || held.Now() { // snapshots tell of one in its own partition as of any other
		return false
	}
	return held.Released >= 0 || h.basis != nil && !slices.Contains(h.fold.Elsewhere, hold)
}

// lostStrays returns which a service has met, and does not know of.
func (b *Bench) lostStrays(ctx context.Context, service string, due []stray) (lost []stray, err error) {
	c, met := b.Caches[service], make(map[int32]cache.Sight)
	for _, s := range due {
		sight, looked := met[s.at.Partition]
		if !looked {
			if sight, err = c.Look(ctx, s.at.Partition, nil); err != nil {
				return nil, err
			}
			met[s.at.Partition] = sight
		}
		if !sight.Known || s.at.Offset >= sight.Next {
			continue // it will meet it
		}
		have, err := c.Holding(ctx, s.who)
		if err != nil {
			return nil, err
		}
		if !have.Overflow && !known(&have, s.first) {
			lost = append(lost, s)
		}
	}
	return lost, nil
}

// addHolds plans holds that are not planned yet, and returns of how many subjects.
func (p *Plan) addHolds(service string, own int32, lost []stray) int {
	planned := make(map[LostHold]bool, len(p.Holds))
	for _, l := range p.Holds {
		planned[l] = true
	}
	people := make(map[events.Subject]bool)
	for _, s := range lost {
		l := LostHold{Service: service, Partition: own, Subject: fingerprint(p.Salt, []byte(s.who.Reveal())), At: s.first.String()}
		if !planned[l] {
			planned[l], people[s.who] = true, true
			p.Holds = append(p.Holds, l)
		}
	}
	return len(people)
}

// elsewhere returns the holds by events of other partitions that snapshots tell of.
func (h *history) elsewhere() (all []stray) {
	for _, hold := range h.fold.Elsewhere {
		if hold.At.Generation == h.bench.Generation && hold.At.Partition < h.bench.Partitions {
			all = append(all, stray{who: hold.Subject, first: hold.At, at: hold.At})
		}
	}
	return all
}
