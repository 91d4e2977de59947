package verify

import (
	"context"
	"slices"

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

// foreign is a hold in a cache, by an event of another partition.
type foreign struct {
	service int
	hold    fold.Hold
}

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
	case !known && p.fold.Strays[one] != nil: // an event under another key; see compareStrays
	case !known && p.ours(h.At) && p.fold.Share.Whole():
		p.foundHold(service, HeldByNone, one)
	case !known:
		p.mu.Lock()
		p.foreign = append(p.foreign, foreign{service, one})
		p.mu.Unlock()
	}
}

// ours says whether the fold knows what stands at a position, whomever it names: it has
// read it, or began with the holds of everything before.
func (p *pass) ours(at events.Position) bool {
	return at.Generation == p.layout().Generation && at.Partition == p.result.Partition && p.result.Window.has(at.Offset) &&
		(p.first <= at.Offset || p.result.Source == FromSnapshots) && at.Offset < p.fold.Next
}

// eachHold calls each with the holds of the share.
func (p *pass) eachHold(ctx context.Context, c *cache.Inspector, each func(events.Subject, []cache.Held) error) error {
	if one := p.Window.Subject; !one.IsZero() {
		all, err := c.Holds(ctx, one)
		if err != nil {
			return err
		}
		return each(one, all)
	}
	return c.AllHolds(ctx, p.result.Partition, func(who events.Subject, all []cache.Held) error {
		if !p.fold.Share.Has(p.layout().BucketOf(who)) || p.chosen != nil && !p.fold.Has(who) {
			return nil
		}
		return each(who, all)
	})
}

func (p *pass) foundHold(service int, kind Kind, h fold.Hold) {
	p.result.service(service).Differences++
	p.passHold(service, kind, h)
}

func (p *pass) keepStrays() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for h, held := range p.fold.Strays {
		if !p.result.Window.has(held.From) && !p.fold.Has(h.Subject) {
			continue // of somebody else, under a key that is in the window, too
		}
		p.strays = append(p.strays, stray{h, *held, p.result.Partition})
	}
	for _, h := range p.fold.Elsewhere {
		if h.At.Generation == p.layout().Generation && h.At.Partition < p.layout().Partitions {
			p.strays = append(p.strays, stray{h, fold.Held{From: h.At.Offset, Released: -1}, h.At.Partition})
		}
	}
}

// compareStrays compares what holds people across partitions, now that all were
// folded: that each parked event in a wrong partition holds whom it names, or did
// until it was redriven, and that nobody is held by an event that is none of those.
func (v *verifier) compareStrays(ctx context.Context) error {
	known := make(map[fold.Hold]bool, len(v.strays))
	for _, s := range v.strays {
		known[s.hold] = true
	}
	for _, f := range v.foreign {
		if done, read := v.read[f.hold.At.Partition]; read && !known[f.hold] && done.covers(f.hold.At, v.layout().Generation) {
			v.passHold(f.service, HeldByNone, f.hold)
		}
	}
	for i, c := range v.caches {
		told := make(map[fold.Hold]bool, len(v.strays)) // snapshots may tell of one that the log has, too
		for _, s := range v.strays {
			if told[s.hold] {
				continue
			}
			told[s.hold] = true
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
			there := slices.ContainsFunc(all, func(h cache.Held) bool { return h.At == s.hold.At || h.At == (events.Position{}) })
			if !there {
				v.passHold(i, Unheld, s.hold)
			}
		}
	}
	return nil
}

// covers says whether the fold of the partition read what stands at a position,
// whomever it names.
func (p *Partition) covers(at events.Position, generation uint32) bool {
	return at.Generation == generation && p.From <= at.Offset && at.Offset < p.To && p.Window.has(at.Offset)
}

func (v *verifier) passHold(service int, kind Kind, h fold.Hold) {
	v.pass(Difference{
		Kind: kind, Service: v.caches[service].Layout().Service, Partition: v.layout().PartitionOf(h.Subject), Subject: h.Subject, Log: h.At.String(),
	})
}
