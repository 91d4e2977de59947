package verify

import (
	"cmp"
	"context"
	"slices"

	"github.com/kelisim/kelisim/internal/cache"
)

// mark is what the log comes to at the position of one service, and what the
// service keeps of it.
type mark struct {
	at         int64
	known      bool // the log has the position
	log, keeps cache.Digest
}

// sumUp folds on past the positions of all services, from the one that is furthest
// behind, and sums up at each: so a digest is compared at exactly the position that
// it belongs to. Passes over other shares add theirs at the same positions.
func (p *pass) sumUp(ctx context.Context) error {
	if p.partial() {
		return nil // a digest is of everybody
	}
	if p.result.marks == nil {
		for _, s := range p.spots {
			known := s.Known && !s.Midway && !s.Torso && p.first <= s.Next && s.Next <= p.offsets.End
			p.result.marks = append(p.result.marks, mark{at: s.Next, known: known, keeps: s.Digest})
		}
	}
	order := make([]int, 0, len(p.result.marks))
	for i, m := range p.result.marks {
		if m.known {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(p.result.marks[a].at, p.result.marks[b].at) })
	p.sums = make([]cache.Digest, len(p.result.marks))
	for n, i := range order {
		if n > 0 && p.result.marks[i].at == p.result.marks[order[n-1]].at {
			p.sums[i] = p.sums[order[n-1]]
			continue
		}
		if err := p.foldTo(ctx, p.result.marks[i].at); err != nil {
			return err
		}
		p.sums[i] = p.fold.Digest()
	}
	return nil
}
