package topics

import (
	"context"
	"fmt"
	"maps"
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
}

// Generation is the plan of a new layout of the events topic: another topic, with
// another number of partitions, that goes on where barriers end the old one.
// docs/generation.md says how, and what of it is built.
type Generation struct {
	From       uint32          `json:"from"`
	To         uint32          `json:"to"`
	Old        string          `json:"old"` // topics
	New        string          `json:"new"`
	Partitions int             `json:"partitions"` // now
	Wanted     int             `json:"wanted"`
	Ends       map[int32]int64 `json:"ends"`    // of the old partitions now: the barriers come behind
	Moving     string          `json:"moving"`  // which subjects change their partition, in words
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

// NextName is the topic of another generation of a topic.
func NextName(topic string, generation uint32) string {
	return fmt.Sprintf("%s.g%d", topic, generation)
}

// PlanGeneration looks at everything that a new generation rests on. What stands in
// the way is in the plan; an error means that it could not be looked at.
func PlanGeneration(ctx context.Context, k interface {
	Cluster
	Ends
}, b Before,
) (*Generation, error) {
	g := &Generation{
		From: b.Generation, To: b.Generation + 1, Old: b.Events.Name, New: NextName(b.Events.Name, b.Generation+1),
		Wanted: b.Wanted, Ends: make(map[int32]int64),
	}
	refuse := func(format string, args ...any) { g.Refused = append(g.Refused, fmt.Sprintf(format, args...)) }
	found, err := k.Topics(ctx, g.Old, g.New)
	if err != nil {
		return nil, err
	}
	if _, there := found[g.New]; there {
		refuse("topic %s is there already: an attempt before this one did not end; look what it holds", g.New)
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
	for _, p := range old.Partitions {
		if p.Leader < 0 || len(p.InSync) < len(p.Replicas) {
			refuse("partition %d has %d of %d replicas in sync: its barrier must not be lost", p.ID, len(p.InSync), len(p.Replicas))
		}
	}
	ends, err := k.Offsets(ctx, g.Old)
	if err != nil {
		return nil, err
	}
	for p, o := range ends {
		g.Ends[p] = o.End
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
