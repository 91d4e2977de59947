package replay

import (
	"context"
	"maps"
	"slices"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
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
	if err := w.check(ctx, ends); err != nil {
		w.Close()
		return nil, err
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

// check holds every range against the plan, and opens what is to be done. A range
// may name people of other partitions: its misplaced events do.
func (w *Work) check(ctx context.Context, ends map[int32]stream.Offsets) error {
	due := w.partitions()
	people := make(map[int32]map[string]events.Subject, len(due)) // by fingerprint
	for i := range w.plan.Ranges {
		r := &w.plan.Ranges[i]
		whom, err := w.same(ctx, r, ends[r.Partition])
		if err != nil {
			return err
		}
		for _, who := range whom.subjects {
			w.recognise(due, people, r.Partition, who)
		}
		for _, s := range whom.strays {
			w.recognise(due, people, events.PartitionOf(s.who.Reveal(), w.bench.Partitions), s.who)
		}
	}
	for _, partition := range slices.Sorted(maps.Keys(due)) {
		if err := w.begin(ctx, partition, ends[partition], people[partition]); err != nil {
			return err
		}
	}
	return nil
}

// same refuses a range that the log no longer has as the plan saw it.
func (w *Work) same(ctx context.Context, r *Range, end stream.Offsets) (*chosen, error) {
	if end.First > r.From || end.End < r.To {
		return nil, exit.Refuse("partition %d: the log has %d to %d, and the plan is about %d to %d", r.Partition, end.First, end.End, r.From, r.To)
	}
	found, whom, err := w.bench.readRange(ctx, r.Partition, stream.Range{From: r.From, To: r.To}, &Selection{})
	if err != nil {
		return nil, err
	}
	if found.Digest != r.Digest {
		return nil, exit.Refuse("partition %d: other records stand between %d and %d than when the plan was made", r.Partition, r.From, r.To)
	}
	return whom, nil
}

// partitions returns in which something is planned and not done yet, and about
// whom: fingerprints.
func (w *Work) partitions() map[int32]map[string]bool {
	due := make(map[int32]map[string]bool)
	for partition := range w.plan.Partitions {
		for _, of := range w.planned(partition) {
			if due[partition] == nil {
				due[partition] = make(map[string]bool)
			}
			for print := range of.mends {
				due[partition][print] = true
			}
			for i := range of.holds {
				due[partition][of.holds[i].Subject] = true
			}
		}
	}
	return due
}

// recognise finds out whom the plan is about: it knows their fingerprints, and the
// ranges their ids.
func (w *Work) recognise(due map[int32]map[string]bool, people map[int32]map[string]events.Subject, partition int32, who events.Subject) {
	if due[partition] == nil {
		return
	}
	print := fingerprint(w.plan.Salt, []byte(who.Reveal()))
	if !due[partition][print] {
		return
	}
	if people[partition] == nil {
		people[partition] = make(map[string]events.Subject)
	}
	people[partition][print] = who
}

// begin opens what is to be done in one partition.
func (w *Work) begin(ctx context.Context, partition int32, end stream.Offsets, people map[string]events.Subject) error {
	planned := w.planned(partition)
	wanted := make(map[string]bool, len(people))
	for _, who := range people {
		wanted[who.Reveal()] = true
	}
	services := slices.Sorted(maps.Keys(planned))
	h, sights, err := w.bench.open(ctx, partition, end, services, func(key []byte) bool { return wanted[string(key)] })
	if err != nil {
		return err
	}
	if h == nil {
		return exit.Refuse("partition %d: every cache lost its position: they are being built from the log", partition)
	}
	w.open = append(w.open, h)
	for _, service := range services {
		if !sights[service].Known || sights[service].Next < w.next(service, partition) {
			return exit.Refuse("partition %d of %s lost its position since the plan was made: it is being built from the log", partition, service)
		}
		if err := w.take(ctx, h, service, planned[service], people); err != nil {
			return err
		}
	}
	return nil
}
