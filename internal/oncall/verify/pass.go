package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/basis"
	"github.com/kelisim/kelisim/internal/oncall/fold"
)

// rounds is how often what differs is looked at again, each time after the fold
// has followed: whoever changes more often than that is counted as moving.
const rounds = 4

// maxServices is the bits of a person's marks.
const maxServices = 32

// pass compares one share of one partition.
type pass struct {
	*verifier
	reader *stream.Reader
	result *Partition
	limit  int

	chosen  map[string]struct{} // keys of the share in the window; nil: everybody is compared
	fold    *fold.Fold
	first   int64 // where the fold began to read the log
	offsets stream.Offsets
	spots   []cache.Spot     // of each service, as last read
	open    [][]*fold.Person // of each service: who is to be looked at again
	sums    []cache.Digest   // of the share, at each service's position when the comparison began
}

func (p *pass) run(ctx context.Context, share fold.Share) error {
	if len(p.caches) > maxServices {
		return fmt.Errorf("more than %d services: name some with --service", maxServices)
	}
	if err := p.look(ctx); err != nil {
		return err
	}
	if p.result.Window != nil {
		if err := p.gather(ctx, share); err != nil || len(p.chosen) == 0 {
			return err
		}
	}
	if err := p.begin(ctx, share); err != nil {
		return err
	}
	if err := p.follow(ctx); err != nil {
		return err
	}
	p.open = make([][]*fold.Person, len(p.caches))
	for i := range p.caches {
		if err := p.scan(ctx, i); err != nil {
			return err
		}
	}
	if err := p.settle(ctx); err != nil {
		return err
	}
	if err := p.compareHolds(ctx); err != nil {
		return err
	}
	p.result.take(p)
	return nil
}

// begin begins the fold: at the beginning of the log, or with the snapshots where
// the partition was found to be judged by these.
func (p *pass) begin(ctx context.Context, share fold.Share) error {
	p.first = p.offsets.First
	p.fold = fold.New(fold.Config{
		Rules: p.rules, Layout: p.layout(), Only: p.Window.Subject, Wanted: p.wanted(), Limit: p.limit,
	}, p.result.Partition, share, p.first)
	if p.result.Source != FromSnapshots {
		return p.sumUp(ctx)
	}
	state, err := p.cluster.Reader(p.cluster.Topics.State)
	if err != nil {
		return err
	}
	defer state.Close()
	read, why, err := basis.Seed(ctx, state, p.fold, p.layout().Generation, p.reader.Offsets, nil)
	if err == nil && why != "" {
		err = fmt.Errorf("the snapshots were of use a moment ago: %s", why)
	}
	p.first = read.From
	return err
}

// look reads where the services stand, and then where the log ends: no service can
// stand behind that.
func (p *pass) look(ctx context.Context) error {
	p.spots = make([]cache.Spot, len(p.caches))
	for i, c := range p.caches {
		spots, err := c.Spots(ctx, p.result.Partition)
		if err != nil {
			return err
		}
		p.spots[i] = spots[0]
	}
	offsets, err := p.reader.Offsets(ctx, p.result.Partition)
	p.offsets = offsets[p.result.Partition]
	return err
}

// follow folds on to where the service that is furthest stands, within what the
// log has, and past the window: what nobody has applied of it is no answer. Without
// any service it is the end of the log.
func (p *pass) follow(ctx context.Context) error {
	to := int64(-1)
	for _, s := range p.spots {
		if s.Known {
			to = max(to, s.Next)
		}
	}
	if to < 0 || to > p.offsets.End {
		to = p.offsets.End
	}
	if w := p.result.Window; w != nil {
		to = max(to, w.To)
	}
	return p.foldTo(ctx, to)
}

// foldTo reads on to a position.
func (p *pass) foldTo(ctx context.Context, to int64) error {
	if to <= p.fold.Next {
		return nil
	}
	part := map[int32]stream.Range{p.result.Partition: {From: p.fold.Next, To: to}}
	err := p.reader.Read(ctx, part, func(b *stream.Batch) error {
		if b.Next > p.result.read { // not once more for another share
			p.result.read = b.Next
			p.Progress.Add(p.result.Partition, int64(len(b.Records)))
			p.events.Add(int64(len(b.Records)))
		}
		return p.fold.Records(b.Records)
	})
	p.fold.Next = max(p.fold.Next, to) // also where control batches stand at the end
	return err
}

// scan looks at everything that one service holds of the share, and notes who
// does not look right at first sight.
func (p *pass) scan(ctx context.Context, service int) error {
	if !p.spots[service].Known {
		return nil
	}
	if p.partial() {
		return p.scanPeople(ctx, service)
	}
	at := p.bounds(service)
	bit := uint32(1) << service
	c := p.caches[service]
	err := c.Buckets(ctx, p.result.Partition, p.fold.Share.From, p.fold.Share.To, func(bucket int32, states map[string]string) error {
		for field, state := range states {
			person := p.fold.People[field]
			if person == nil {
				subject, err := cache.SubjectOf(field)
				if err != nil || p.layout().PartitionOf(subject) != p.result.Partition || p.layout().BucketOf(subject) != bucket {
					p.found(service, Extra, subject, events.State{}, state) // nobody reads it, and nobody wrote it
					continue
				}
				person = p.fold.Person(subject)
			}
			person.Seen |= bit
			if judge(person, state, at) != equal {
				p.open[service] = append(p.open[service], person)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, person := range p.fold.People {
		if person.Seen&bit == 0 && !person.State.IsZero() {
			p.open[service] = append(p.open[service], person)
		}
	}
	return nil
}

func (p *pass) bounds(service int) bounds {
	return bounds{spot: p.spots[service], folded: p.fold.Next, whole: p.result.whole()}
}

// settle follows the services and looks again at whoever did not look right, until
// everybody is judged or moves too fast.
func (p *pass) settle(ctx context.Context) error {
	for round := range rounds {
		if err := p.look(ctx); err != nil {
			return err
		}
		p.fold.Watch = round == 0 // whoever changed since the first look was not looked at
		if err := p.follow(ctx); err != nil {
			return err
		}
		for i := range p.caches {
			if round == 0 {
				p.open[i] = p.withChanged(i)
			}
			if err := p.again(ctx, i, round == rounds-1); err != nil {
				return err
			}
		}
		p.fold.Changed = nil
	}
	return nil
}

// withChanged returns whoever is to be looked at again, each once.
func (p *pass) withChanged(service int) []*fold.Person {
	if !p.spots[service].Known {
		return nil
	}
	all := append(p.open[service], p.fold.Changed...)
	slices.SortFunc(all, func(a, b *fold.Person) int { return strings.Compare(a.Field, b.Field) })
	return slices.Compact(all)
}

// again judges those who did not look right once more, and names who does not now.
// What moved on is left for the next round.
func (p *pass) again(ctx context.Context, service int, final bool) error {
	people := p.open[service]
	p.open[service] = nil
	if len(people) == 0 || !p.spots[service].Known {
		return nil
	}
	subjects := make([]events.Subject, len(people))
	for i, person := range people {
		subjects[i] = person.Subject()
	}
	states, err := p.caches[service].States(ctx, p.result.Partition, subjects)
	if err != nil {
		return err
	}
	at := p.bounds(service)
	now := at.spot
	if final {
		spots, err := p.caches[service].Spots(ctx, p.result.Partition)
		if err != nil {
			return err
		}
		now = spots[0]
	}
	for i, person := range people {
		v := judge(person, states[i], at)
		if final {
			v = last(v, states[i], now)
		}
		switch v {
		case equal:
		case moving:
			if !final {
				p.open[service] = append(p.open[service], person)
				continue
			}
			p.result.service(service).Moving++
		case behind:
			p.result.service(service).Behind++
		case unjudged:
			p.result.service(service).Unjudged++
		default:
			p.found(service, v, subjects[i], person.State, states[i])
		}
	}
	return nil
}
