package verify

import (
	"context"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/fold"
)

// stray is a parked event that stands in another partition than its subject's: it
// holds the subject there.
type stray struct {
	hold fold.Hold
	held fold.Held
	from int32 // where it stands
}

// strays collects them from all partitions, until all were folded.
type strays []stray

// compareHolds compares who is held, in the share and by events of the partition.
// Holds by events of others are compared at the end, when those are known.
func (p *pass) compareHolds(ctx context.Context) error {
	p.keepStrays()
	for i, c := range p.caches {
		if !p.spots[i].Known {
			continue
		}
		at := p.spots[i] // read before the holds are
		seen := make(map[fold.Hold]bool, len(p.fold.Holds))
		crowded := make(map[events.Subject]bool)
		err := p.eachHold(ctx, c, func(who events.Subject, all []cache.Held) error {
			for _, h := range all {
				crowded[who] = crowded[who] || h.At == (events.Position{})
				seen[fold.Hold{Subject: who, At: h.At}] = true
				p.compareHold(i, at, who, h)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for h, held := range p.fold.Holds {
			if held.Now() && held.From < at.Next && !seen[h] && !crowded[h.Subject] {
				p.foundHold(i, Unheld, h)
			}
		}
	}
	return nil
}

// compareHold judges one hold that is there.
func (p *pass) compareHold(service int, at cache.Spot, who events.Subject, h cache.Held) {
	one := fold.Hold{Subject: who, At: h.At}
	held, known := p.fold.Holds[one]
	switch {
	case known && held.Now() && h.Released:
		p.result.service(service).Dismissed++
	case h.Released || h.At == (events.Position{}):
	case known && held.Released >= 0 && held.Released < at.Next:
		p.foundHold(service, HeldByNone, one) // its event was redriven
	case !known && p.ours(h.At):
		p.foundHold(service, HeldByNone, one)
	}
}

// ours says whether the fold has read what stands at a position.
func (p *pass) ours(at events.Position) bool {
	return at.Generation == p.layout().Generation && at.Partition == p.result.Partition && p.first <= at.Offset && at.Offset < p.fold.Next
}

// eachHold calls each with the holds of the share.
func (p *pass) eachHold(ctx context.Context, c *cache.Inspector, each func(events.Subject, []cache.Held) error) error {
	if !p.Subject.IsZero() {
		all, err := c.Holds(ctx, p.Subject)
		if err != nil {
			return err
		}
		return each(p.Subject, all)
	}
	return c.AllHolds(ctx, p.result.Partition, func(who events.Subject, all []cache.Held) error {
		if !p.fold.Share.Has(p.layout().BucketOf(who)) {
			return nil
		}
		return each(who, all)
	})
}

func (p *pass) foundHold(service int, kind Kind, h fold.Hold) {
	p.result.service(service).Differences++
	p.pass(Difference{
		Kind: kind, Service: p.caches[service].Layout().Service, Partition: p.result.Partition, Subject: h.Subject, Log: h.At.String(),
	})
}

func (p *pass) keepStrays() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for h, held := range p.fold.Strays {
		p.strays = append(p.strays, stray{h, *held, p.result.Partition})
	}
}

// compareStrays looks whether events of wrong partitions hold whom they name. One
// that was redriven released its subject in that one's own partition, which the
// caches know: so any entry will do, released or not.
func (v *verifier) compareStrays(ctx context.Context) error {
	for i, c := range v.caches {
		for _, s := range v.strays {
			spots, err := c.Spots(ctx, s.from)
			if err != nil {
				return err
			}
			if !spots[0].Known || s.held.From >= spots[0].Next {
				continue
			}
			all, err := c.Holds(ctx, s.hold.Subject)
			if err != nil {
				return err
			}
			there := false
			for _, h := range all {
				there = there || h.At == s.hold.At || h.At == (events.Position{})
			}
			if !there {
				v.pass(Difference{
					Kind: Unheld, Service: v.caches[i].Layout().Service, Partition: v.layout().PartitionOf(s.hold.Subject),
					Subject: s.hold.Subject, Log: s.hold.At.String(),
				})
			}
		}
	}
	return nil
}
