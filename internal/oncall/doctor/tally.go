package doctor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/kelisim/kelisim/events"
)

// key is what records have in common that make one finding: who wrote them, which
// type they are of, and what is wrong.
type key struct{ source, kind, what string }

// group is the records of one key.
type group struct {
	count, of int // of all that were read of the source
	unread    int // of count, those that the codec refuses too
	first     events.Position
	last      events.Position
}

// String says how many, and where to look.
func (g group) String() string {
	return fmt.Sprintf("%d of its %d newest events (as at %s)", g.count, g.of, g.last)
}

// tally groups the records that pick wants.
func tally(all []record, pick func(*record) (key, bool)) map[key]group {
	of := make(map[string]int)
	groups := make(map[key]group)
	for i := range all {
		r := &all[i]
		of[r.source]++
		k, wanted := pick(r)
		if !wanted {
			continue
		}
		g, seen := groups[k]
		if !seen {
			g.first = r.at
		}
		g.count++
		g.last = r.at
		if !r.read {
			g.unread++
		}
		groups[k] = g
	}
	for k, g := range groups {
		g.of = of[k.source]
		groups[k] = g
	}
	return groups
}

// findings makes one of each group, in an order that does not change.
func findings(groups map[key]group, of func(key, group) Finding) (out []Finding) {
	keys := slices.SortedFunc(maps.Keys(groups), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.source, b.source), cmp.Compare(a.kind, b.kind), cmp.Compare(a.what, b.what))
	})
	for _, k := range keys {
		out = append(out, of(k, groups[k]))
	}
	return out
}
