package replay

import (
	"context"
	"maps"
	"slices"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// Check holds the plan against the world as it is, and changes nothing. It refuses
// when the world has moved: the cluster, the topic or the layout is another, the
// log no longer has the range or has other records in it, a cache lost its
// position or went back, or a state that is to be replaced is neither what the
// plan saw nor what it wants, though no event of its subject came since. An event
// that did come is no such thing: its subject is left out ([Counts.MovedOn]), as
// what the plan says about it is no longer so.
func (b *Bench) Check(ctx context.Context, p *Plan, o Orders) (*Work, error) {
	if err := o.permit(p); err != nil {
		return nil, err
	}
	done, err := loadCheckpoint(o.Checkpoint, p)
	if err != nil {
		return nil, err
	}
	ends, err := b.sameWorld(ctx, p)
	if err != nil {
		return nil, err
	}
	w := &Work{bench: b, plan: p, done: done}
	b.start(w.ranges(), ends)
	defer b.progress().Done()
	for i := range p.Ranges {
		if err := w.check(ctx, &p.Ranges[i], ends[p.Ranges[i].Partition]); err != nil {
			w.Close()
			return nil, err
		}
	}
	return w, nil
}

// sameWorld refuses another cluster, topic or layout.
func (b *Bench) sameWorld(ctx context.Context, p *Plan) (map[int32]stream.Offsets, error) {
	cluster, err := b.Log.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case cluster.ID != p.Cluster:
		return nil, exit.Refuse("this is cluster %s, and the plan is for %s", cluster.ID, p.Cluster)
	case b.Topic != p.Topic || b.Generation != p.Generation || b.Partitions != p.Partitions:
		return nil, exit.Refuse("this is generation %d of %s with %d partitions, and the plan is for generation %d of %s with %d",
			b.Generation, b.Topic, b.Partitions, p.Generation, p.Topic, p.Partitions)
	}
	for i := range p.Services {
		s := &p.Services[i]
		c, there := b.Caches[s.Service]
		if !there {
			return nil, exit.Refuse("the plan is for the cache of %s, and there is none", s.Service)
		}
		if l := c.Layout(); l.Generation != p.Generation || l.Partitions != p.Partitions || l.Buckets != s.Buckets {
			return nil, exit.Refuse("the cache of %s is laid out anew since the plan was made", s.Service)
		}
	}
	return b.Log.Offsets(ctx, b.Topic)
}

func (w *Work) ranges() map[int32]stream.Range {
	out := make(map[int32]stream.Range)
	for i := range w.plan.Ranges {
		r := &w.plan.Ranges[i]
		out[r.Partition] = stream.Range{From: r.From, To: r.To}
	}
	return out
}

// check holds one partition against the plan, and opens what is to be done in it.
func (w *Work) check(ctx context.Context, r *Range, end stream.Offsets) error {
	b := w.bench
	if end.First > r.From || end.End < r.To {
		return exit.Refuse("partition %d: the log has %d to %d, and the plan is about %d to %d", r.Partition, end.First, end.End, r.From, r.To)
	}
	found, subjects, err := b.readRange(ctx, r.Partition, stream.Range{From: r.From, To: r.To}, &Selection{})
	if err != nil {
		return err
	}
	if found.Digest != r.Digest {
		return exit.Refuse("partition %d: other records stand between %d and %d than when the plan was made", r.Partition, r.From, r.To)
	}
	planned := w.planned(r.Partition)
	if len(planned) == 0 {
		return nil
	}
	people := w.recognise(subjects, planned)
	h, sights, err := w.follow(ctx, r.Partition, end, planned, people)
	if err != nil {
		return err
	}
	for _, service := range slices.Sorted(maps.Keys(planned)) {
		if !sights[service].Known || sights[service].Next < w.next(service, r.Partition) {
			return exit.Refuse("partition %d of %s lost its position since the plan was made: it is being built from the log", r.Partition, service)
		}
		if err := w.take(ctx, h, service, planned[service], people); err != nil {
			return err
		}
	}
	return nil
}

// recognise finds out whom the plan is about: it knows their fingerprints, and the
// range their ids.
func (w *Work) recognise(subjects map[string]events.Subject, planned map[string]*planned) map[string]events.Subject {
	prints := make(map[string]bool)
	for _, of := range planned {
		for print := range of.mends {
			prints[print] = true
		}
		for i := range of.holds {
			prints[of.holds[i].Subject] = true
		}
	}
	people := make(map[string]events.Subject, len(prints))
	for id, who := range subjects {
		if print := fingerprint(w.plan.Salt, []byte(id)); prints[print] {
			people[print] = who
		}
	}
	return people
}

// follow opens the histories of those whom the plan is about.
func (w *Work) follow(ctx context.Context, partition int32, end stream.Offsets, planned map[string]*planned, people map[string]events.Subject) (*history, map[string]cache.Sight, error) {
	wanted := make(map[string]bool, len(people))
	for _, who := range people {
		wanted[who.Reveal()] = true
	}
	h, sights, err := w.bench.open(ctx, partition, end, slices.Sorted(maps.Keys(planned)), func(key []byte) bool { return wanted[string(key)] })
	if err != nil {
		return nil, nil, err
	}
	if h == nil {
		return nil, nil, exit.Refuse("partition %d: every cache lost its position: they are being built from the log", partition)
	}
	w.open = append(w.open, h)
	return h, sights, nil
}
