package verify

import (
	"context"
	"maps"
	"slices"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/fold"
	"github.com/kelisim/kelisim/internal/oncall/window"
)

// lookLot is how many people are looked at together, at some 200 bytes each: they may
// be as many as are kept at a time.
const lookLot = 10_000

// partial says whether only some people are compared.
func (v *verifier) partial() bool { return v.Window.Bounded() || !v.Window.Subject.IsZero() }

// extent works out where there is anything to compare, and returns how much there is
// to read, by partition.
func (v *verifier) extent(ctx context.Context) (map[int32]int64, error) {
	admin, err := v.cluster.Admin()
	if err != nil {
		return nil, err
	}
	part := v.Window.Bounded()
	if part && !v.Window.Subject.IsZero() {
		return nil, exit.Misused("want one of a subject and a part of the log: of one subject all of it is judged")
	}
	if v.parts, err = v.Window.Parts(ctx, admin, v.cluster.Topics.Events, v.layout().Partitions); err != nil {
		return nil, err
	}
	if part {
		if err := window.Some(v.parts); err != nil {
			return nil, err
		}
	}
	total := make(map[int32]int64, len(v.parts))
	for _, p := range slices.Sorted(maps.Keys(v.parts)) {
		of := v.parts[p]
		if part && of.Cut {
			v.report.Cut = append(v.report.Cut, p)
		}
		switch {
		case !part:
			total[p] = of.Log.End - of.Log.First
		case of.From < of.To:
			total[p] = of.Log.End - of.Log.First + of.To - of.From
		}
	}
	return total, nil
}

// gather notes whose records of the share stand in the window: at most as many as are
// kept at a time, or it is [fold.ErrCrowd].
func (p *pass) gather(ctx context.Context, share fold.Share) error {
	p.chosen = make(map[string]struct{})
	w := p.result.Window
	part := map[int32]stream.Range{p.result.Partition: {From: w.From, To: w.To}}
	return p.reader.Read(ctx, part, func(b *stream.Batch) error {
		if b.Next > w.read { // not once more for another share
			w.read = b.Next
			w.Records += int64(len(b.Records))
			p.Progress.Add(p.result.Partition, int64(len(b.Records)))
		}
		for i := range b.Records {
			key := b.Records[i].Key
			if _, noted := p.chosen[string(key)]; !noted && share.HasKey(p.layout(), key) {
				p.chosen[string(key)] = struct{}{}
			}
		}
		if len(p.chosen) > p.limit {
			return fold.ErrCrowd
		}
		return nil
	})
}

// wanted returns whose records are folded; nil: everybody's.
func (p *pass) wanted() func(key []byte) bool {
	if p.chosen == nil {
		return nil
	}
	return func(key []byte) bool { _, is := p.chosen[string(key)]; return is }
}

// people returns who is compared where not everybody is, if the partition is theirs:
// whoever is of another one is only held by what stands in this.
func (p *pass) people() []*fold.Person {
	if one := p.Window.Subject; !one.IsZero() {
		return []*fold.Person{p.fold.Person(one)}
	}
	all := make([]*fold.Person, 0, len(p.chosen))
	for id := range p.chosen {
		if s, err := events.ParseSubject(id); err == nil && p.layout().PartitionOf(s) == p.result.Partition {
			all = append(all, p.fold.Person(s))
		}
	}
	return all
}

// scanPeople looks at what one service holds of the people, and notes who does not
// look right at first sight.
func (p *pass) scanPeople(ctx context.Context, service int) error {
	at := p.bounds(service)
	for lot := range slices.Chunk(p.people(), lookLot) {
		subjects := make([]events.Subject, len(lot))
		for i, person := range lot {
			subjects[i] = person.Subject()
		}
		states, err := p.caches[service].States(ctx, p.result.Partition, subjects)
		if err != nil {
			return err
		}
		for i, person := range lot {
			if judge(person, states[i], at) != equal {
				p.open[service] = append(p.open[service], person)
			}
		}
	}
	return nil
}
