package replay

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// Orders are on whose word, and how, a plan is carried out.
type Orders struct {
	Operator       string
	PermitGrants   bool   // may allow what is denied
	SecondOperator string // who agrees to that: another person
	Checkpoint     string // file that says how far it is; "": none is kept
}

// Work is a plan that was found to fit the world: nothing of it is written yet.
// The caller closes it.
type Work struct {
	bench *Bench
	plan  *Plan
	done  *checkpoint
	parts []*workPart
	open  []*history
}

// Expect says what carrying the plan out would come to. It implements
// [output.Result].
type Expect struct {
	Plan     string              `json:"plan"`
	Services map[string]Expected `json:"services"`
	Done     int                 `json:"done"` // partitions that an earlier try finished
}

// Expected is what is to be expected in one service, in subjects.
type Expected struct {
	Due     int `json:"due"`     // to be repaired
	Settled int `json:"settled"` // right already
	MovedOn int `json:"movedon"` // need a new plan
}

// Expect returns what the check found.
func (w *Work) Expect() *Expect {
	e := &Expect{Plan: w.plan.Hash, Services: make(map[string]Expected), Done: len(w.done.Done)}
	for i := range w.plan.Services {
		e.Services[w.plan.Services[i].Service] = Expected{}
	}
	for _, p := range w.parts {
		sum := e.Services[p.service]
		e.Services[p.service] = Expected{sum.Due + p.expected.Due, sum.Settled + p.expected.Settled, sum.MovedOn + p.expected.MovedOn}
	}
	return e
}

// Text implements [output.Result].
func (e *Expect) Text(w io.Writer) {
	for _, service := range slices.Sorted(maps.Keys(e.Services)) {
		x := e.Services[service]
		_, _ = fmt.Fprintf(w, "%s: would repair %d, right already %d, moved on %d\n", service, x.Due, x.Settled, x.MovedOn) // standard output has no one to tell
	}
	if e.Done > 0 {
		_, _ = fmt.Fprintf(w, "%d partitions are done\n", e.Done)
	}
	_, _ = fmt.Fprintf(w, "the plan fits; say --apply to carry it out; plan %s\n", e.Plan)
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

// permit refuses what would allow something, unless two people say so.
func (o *Orders) permit(p *Plan) error {
	n := p.Allows()
	first, second := strings.TrimSpace(o.Operator), strings.TrimSpace(o.SecondOperator)
	switch {
	case n == 0:
		return nil
	case !o.PermitGrants:
		return exit.Refuse("%d of the repairs would allow what is denied now: that needs --permit-grants, or a plan with --only-deny", n)
	case second == "":
		return exit.Refuse("%d of the repairs would allow what is denied now: a second operator must agree (--second-operator)", n)
	case strings.EqualFold(first, second):
		return exit.Refuse("the second operator must be another person than %s", first)
	}
	return nil
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
	found, _, err := b.readRange(ctx, r.Partition, stream.Range{From: r.From, To: r.To}, &Selection{})
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
	if err := whole(r.Partition, end); err != nil {
		return err
	}
	prints := make(map[string]bool)
	for _, of := range planned {
		for print := range of.mends {
			prints[print] = true
		}
		for i := range of.holds {
			prints[of.holds[i].Subject] = true
		}
	}
	people := make(map[string]events.Subject)
	h, sights, err := b.open(ctx, r.Partition, end.End, slices.Sorted(maps.Keys(planned)), func(key []byte) bool {
		print := fingerprint(w.plan.Salt, key)
		if !prints[print] {
			return false
		}
		if _, met := people[print]; !met {
			people[print], _ = events.ParseSubject(string(key)) // fold looks at it again
		}
		return true
	})
	if err != nil {
		return err
	}
	if h == nil {
		return exit.Refuse("partition %d: every cache lost its position: they are being built from the log", r.Partition)
	}
	w.open = append(w.open, h)
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
	case !f.differs:
		return settled
	case fingerprint(w.plan.Salt, []byte(f.stored)) == m.Stored && fingerprint(w.plan.Salt, f.right.state.Bytes()) == m.Right:
		return due
	case part.history.touched(f.who, part.since):
		return movedOn
	}
	return foreign
}
