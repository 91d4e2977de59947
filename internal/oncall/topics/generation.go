package topics

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
)

// maxPlaces bounds partitions times buckets, as internal/cache does: both are read
// out of one 31-bit hash.
const maxPlaces = 1 << 28

// Standing is where a service stands in the log.
type Standing struct {
	Service string
	Stands  []cache.Stand // by partition
	Ended   bool          // it stands behind a barrier: an attempt before this one began
	Moved   bool          // its recorded layout is the new one already
}

// Generation is the plan of a new layout of the events topic: another topic, with
// another number of partitions, that goes on where barriers end the old one.
// Package generation carries it out; docs/generation.md says how.
type Generation struct {
	From       uint32          `json:"from"`
	To         uint32          `json:"to"`
	Old        string          `json:"old"` // topics
	New        string          `json:"new"`
	Partitions int             `json:"partitions"` // now
	Wanted     int             `json:"wanted"`
	Ends       map[int32]int64 `json:"ends"`    // of the old partitions now: the barriers come behind
	Moving     string          `json:"moving"`  // which subjects change their partition, in words
	Begun      bool            `json:"begun"`   // barriers are written: there is no way back, and the rest is to be done
	Refused    []string        `json:"refused"` // why it must not be done now
}

// Before is what a plan is made of.
type Before struct {
	Generation uint32
	Events     deploy.Topic // as it has to be, by its configured name
	Wanted     int          // partitions
	Buckets    int          // per partition
	Services   []Standing
	Open       int // parked events that nobody has seen to
}

// Ends tells where partitions end; [*stream.Admin] does.
type Ends interface {
	Offsets(ctx context.Context, topic string) (map[int32]stream.Offsets, error)
}

// ofGeneration ends the name of a topic of a later generation.
var ofGeneration = regexp.MustCompile(`\.g[0-9]+$`)

// NameOf is the topic of another generation of a topic: consent.events.v1 of the first,
// then consent.events.v1.g2, consent.events.v1.g3.
func NameOf(topic string, generation uint32) string {
	name := ofGeneration.ReplaceAllString(topic, "")
	if generation <= 1 {
		return name
	}
	return fmt.Sprintf("%s.g%d", name, generation)
}

// PlanGeneration looks at everything that a new generation rests on. What stands in
// the way is in the plan; an error means that it could not be looked at.
func PlanGeneration(ctx context.Context, k interface {
	Cluster
	Ends
}, b Before,
) (*Generation, error) {
	g := &Generation{
		From: b.Generation, To: b.Generation + 1, Old: b.Events.Name, New: NameOf(b.Events.Name, b.Generation+1),
		Wanted: b.Wanted, Ends: make(map[int32]int64),
	}
	refuse := func(format string, args ...any) { g.Refused = append(g.Refused, fmt.Sprintf(format, args...)) }
	found, err := k.Topics(ctx, g.Old, g.New)
	if err != nil {
		return nil, err
	}
	for _, s := range b.Services {
		g.Begun = g.Begun || s.Ended || s.Moved
	}
	if there, ok := found[g.New]; ok && len(there.Partitions) != b.Wanted {
		refuse("topic %s is there already, with %d partitions: go on with as many, or delete it if nothing is in it", g.New, len(there.Partitions))
	}
	old, there := found[g.Old]
	if !there {
		refuse("topic %s is missing", g.Old)
		return g, nil
	}
	g.Partitions = len(old.Partitions)
	g.Moving = moving(g.Partitions, b.Wanted)
	switch {
	case b.Wanted == g.Partitions:
		refuse("it has %d partitions already", b.Wanted)
	case b.Wanted < 1 || int64(b.Wanted)*int64(b.Buckets) > maxPlaces:
		refuse("%d partitions of %d buckets: want 1 to %d", b.Wanted, b.Buckets, maxPlaces/max(1, b.Buckets))
	}
	if g.Begun {
		return g, g.end(ctx, k)
	}
	for _, p := range old.Partitions {
		if p.Leader < 0 || len(p.InSync) < len(p.Replicas) {
			refuse("partition %d has %d of %d replicas in sync: its barrier must not be lost", p.ID, len(p.InSync), len(p.Replicas))
		}
	}
	if err := g.end(ctx, k); err != nil {
		return nil, err
	}
	if b.Open > 0 {
		refuse("%d parked events are open: redriven later they would stand in another log, where their first place says nothing; see to them first", b.Open)
	}
	for _, s := range b.Services {
		if behind := s.behind(g.Ends); len(behind) > 0 {
			refuse("%s has not applied partitions %v", s.Service, behind)
		}
	}
	return g, nil
}

// end notes where the old partitions end.
func (g *Generation) end(ctx context.Context, k Ends) error {
	ends, err := k.Offsets(ctx, g.Old)
	for p, o := range ends {
		g.Ends[p] = o.End
	}
	return err
}

// behind returns the partitions that the service has not applied whole.
func (s Standing) behind(ends map[int32]int64) (partitions []int32) {
	for _, p := range slices.Sorted(maps.Keys(ends)) {
		if int(p) >= len(s.Stands) || !s.Stands[p].Known || s.Stands[p].Next < ends[p] {
			partitions = append(partitions, p)
		}
	}
	return partitions
}

// moving says who moves. A subject's partition is a hash modulo their number.
func moving(now, then int) string {
	switch {
	case now < 1 || then < 1 || now == then:
		return "nobody"
	case then%now == 0:
		return fmt.Sprintf("%d of %d subjects; every new partition is fed by one old one", then/now-1, then/now)
	}
	return "nearly all subjects; every new partition is fed by several old ones"
}
