package replay

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/audit"
	"github.com/kelisim/kelisim/internal/oncall/window"
)

// Wish is how a replay is to be done, beside what is replayed.
type Wish struct {
	OnlyDeny bool // leave out what would allow anything
	Act      bool // have the services act on what is repaired
}

// NewPlan reads, folds and compares, and changes nothing. One partition after the
// other is in memory, with some 300 bytes for each subject of the range.
func (b *Bench) NewPlan(ctx context.Context, s Selection, wish Wish) (*Plan, error) {
	cluster, err := b.Log.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	ranges, ends, err := b.ranges(ctx, &s)
	if err != nil {
		return nil, err
	}
	p := &Plan{
		Format: planFormat, Made: time.Now().UTC(), Cluster: cluster.ID, Topic: b.Topic, Generation: b.Generation, Partitions: b.Partitions,
		Since: absolute(s.Since), Until: absolute(s.Until), OnlyDeny: wish.OnlyDeny, Act: wish.Act, Salt: rand.Text(),
		Ranges: []Range{}, Services: []Service{}, Mends: []Mend{}, Holds: []LostHold{},
	}
	if !s.Subject.IsZero() {
		p.Who = s.Subject.String()
	}
	p.Sources = s.Sources
	if s.Filter != nil {
		p.Filter = s.Filter.String()
	}
	for _, t := range s.Types {
		p.Types = append(p.Types, t.String())
	}
	for _, service := range slices.Sorted(maps.Keys(b.Caches)) {
		p.Services = append(p.Services, Service{Service: service, Buckets: b.Caches[service].Layout().Buckets, Parts: []Part{}})
	}
	b.start(ranges, ends)
	defer b.progress().Done()
	var strays []stray
	for _, partition := range slices.Sorted(maps.Keys(ranges)) {
		astray, err := b.plan(ctx, p, &s, partition, ranges[partition], ends[partition])
		if err != nil {
			return nil, err
		}
		strays = append(strays, astray...)
	}
	if !p.selects() {
		return nil, window.Nothing()
	}
	if err := b.planStrays(ctx, p, strays, ends); err != nil {
		return nil, err
	}
	p.Hash, err = p.sum()
	return p, err
}

// Bare returns the plan without its hash: what the hash is of, and what the record
// of the act names it by.
func (p *Plan) Bare() *Plan {
	bare := *p
	bare.Hash = ""
	return &bare
}

func (p *Plan) sum() (string, error) { return audit.Hash(p.Bare()) }

func absolute(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// start says how much is to be read: the range, and the histories of its subjects.
func (b *Bench) start(ranges map[int32]stream.Range, ends map[int32]stream.Offsets) {
	total := make(map[int32]int64, len(ranges))
	for p, r := range ranges {
		total[p] = r.To - r.From + ends[p].End
	}
	b.progress().Start(total)
}

// plan adds one partition to the plan, and returns what stands in it by mistake.
func (b *Bench) plan(ctx context.Context, p *Plan, s *Selection, partition int32, r stream.Range, end stream.Offsets) ([]stray, error) {
	found, whom, err := b.readRange(ctx, partition, r, s)
	if err != nil {
		return nil, err
	}
	p.Ranges = append(p.Ranges, *found)
	if len(whom.subjects) == 0 {
		return whom.strays, nil
	}
	return whom.strays, b.planPeople(ctx, p, partition, whom.subjects, end)
}

// planPeople compares the subjects of a partition in every service.
func (b *Bench) planPeople(ctx context.Context, p *Plan, partition int32, subjects map[string]events.Subject, end stream.Offsets) error {
	services := slices.Sorted(maps.Keys(b.Caches))
	h, sights, err := b.open(ctx, partition, end, services, func(key []byte) bool { _, in := subjects[string(key)]; return in })
	if err != nil {
		return err
	}
	if h != nil {
		defer h.close()
		p.Ranges[len(p.Ranges)-1].began(h, end)
	}
	people := make([]events.Subject, 0, len(subjects))
	for _, id := range slices.Sorted(maps.Keys(subjects)) {
		people = append(people, subjects[id])
	}
	for i, service := range services {
		part := Part{Partition: partition, Known: sights[service].Known, Next: sights[service].Next, Effects: map[Effect]int{}, Kinds: map[Kind]int{}}
		if part.Known {
			if err := b.planService(ctx, p, h, service, people, &part); err != nil {
				return fmt.Errorf("service %s: %w", service, err)
			}
		}
		p.Services[i].Parts = append(p.Services[i].Parts, part)
	}
	return nil
}

// planService compares and counts for one service.
func (b *Bench) planService(ctx context.Context, p *Plan, h *history, service string, people []events.Subject, part *Part) error {
	found, err := b.survey(ctx, h, service, people)
	if err != nil {
		return err
	}
	for i := range found {
		f := &found[i]
		if f.unknown {
			part.Unjudged++
			continue
		}
		if !f.differs {
			part.Unchanged++
			continue
		}
		part.Effects[f.effect]++
		part.Kinds[f.kind]++
		if p.OnlyDeny && f.effect == Allow {
			part.LeftOut++
			continue
		}
		p.Mends = append(p.Mends, Mend{
			Service: service, Partition: h.partition, Subject: fingerprint(p.Salt, []byte(f.who.Reveal())),
			Stored: fingerprint(p.Salt, []byte(f.stored)), Right: fingerprint(p.Salt, f.right.state.Bytes()),
			Kind: f.kind, Effect: f.effect, Opens: b.Rules.Names(f.opens), Closes: b.Rules.Names(f.closes),
		})
	}
	return b.planHolds(ctx, p, h, service, part.Next, part)
}
