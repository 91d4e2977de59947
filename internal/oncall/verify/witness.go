package verify

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/basis"
)

// meetEvery is how often it is looked whether services stand at the same position:
// between two events all do.
const meetEvery = 2 * time.Millisecond

// compareDigests compares what needs no log, where that cannot judge everybody: what
// a service stores with what its digest sums up, and the digests of services at the
// same position.
func (v *verifier) compareDigests(ctx context.Context, p *Partition) error {
	for i := range v.caches {
		if err := v.compareSum(ctx, p, i); err != nil {
			return err
		}
	}
	return v.compareServices(ctx, p)
}

// compareSum sums up what one service stores, if it stands still for long enough.
func (v *verifier) compareSum(ctx context.Context, p *Partition, service int) error {
	c := v.caches[service]
	for range rounds {
		before, err := c.Spots(ctx, p.Partition)
		if err != nil {
			return err
		}
		var sum cache.Digest
		err = c.Buckets(ctx, p.Partition, 0, v.layout().Buckets, func(_ int32, states map[string]string) error {
			for field, stored := range states {
				subject, err1 := cache.SubjectOf(field)
				state, err2 := events.ParseState([]byte(stored))
				if err1 == nil && err2 == nil { // others were found
					sum = sum.Swap(subject, events.State{}, state)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		after, err := c.Spots(ctx, p.Partition)
		if err != nil {
			return err
		}
		if at := before[0]; at.Known && !at.Midway && at == after[0] {
			if sum != at.Digest {
				v.whole(p, service, NotStored, hex(at.Digest), hex(sum))
			}
			return nil
		}
	}
	return nil // it moves: what stands in the report is that people are not judged
}

// compareServices waits until every two services have stood at a position of both,
// and compares their digests there.
func (v *verifier) compareServices(ctx context.Context, p *Partition) error {
	stood, met := make([]map[int64]cache.Digest, len(v.caches)), make(map[[2]int]bool)
	for i := range stood {
		stood[i] = make(map[int64]cache.Digest)
	}
	pace := time.NewTicker(meetEvery)
	defer pace.Stop()
	for began := time.Now(); time.Since(began) < cmp.Or(v.Patience, basis.DefaultPatience); {
		waits := false
		for i, c := range v.caches {
			spots, err := c.Spots(ctx, p.Partition)
			if err != nil {
				return err
			}
			at := spots[0]
			if !at.Known || at.Torso || at.Midway {
				continue
			}
			stood[i][at.Next] = at.Digest
			for other := range stood {
				pair := [2]int{min(i, other), max(i, other)}
				digest, same := stood[other][at.Next]
				switch {
				case other == i || met[pair]:
				case !same:
					waits = true
				default:
					met[pair] = true
					if digest != at.Digest {
						names := fmt.Sprintf("%s has %s at %d", v.caches[other].Layout().Service, hex(digest), at.Next)
						v.whole(p, i, Disagree, names, hex(at.Digest))
					}
				}
			}
		}
		if !waits {
			return nil
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// whole counts a difference that concerns a whole partition of a service.
func (v *verifier) whole(p *Partition, service int, kind Kind, log, stored string) {
	s := p.service(service)
	s.Differences++
	v.pass(Difference{Kind: kind, Service: s.Service, Partition: p.Partition, Log: log, Stored: stored})
}
