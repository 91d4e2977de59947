package replay

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// finding is what one service holds of a subject, and what the log says.
type finding struct {
	who    events.Subject
	next   int64 // position of the cache when it was read
	stored string
	right  judgement
	difference
	differs bool
	unknown bool // the history cannot tell what is right at that position
}

const (
	// lookAhead is how many lots are looked at before the log is read on: a live
	// cache moves between any two looks, and each wants the log up to its own.
	lookAhead = 20
	// A batch of the owner is several scripts, and the position moves with the last
	// one. What is newer than the position is looked at again until it has moved.
	settleTries = 20
	settlePause = 100 * time.Millisecond
	// settleHeard tries are enough to hear of an event that a state names. If it is
	// not in the log then, no batch brings it.
	settleHeard = 3
)

// survey compares what a service holds of subjects of a partition with the log.
func (b *Bench) survey(ctx context.Context, h *history, service string, subjects []events.Subject) ([]finding, error) {
	out := make([]finding, 0, len(subjects))
	for part := range slices.Chunk(subjects, lookAhead*cache.MendLot) {
		found, err := b.compareAll(ctx, h, service, part)
		if err != nil {
			return nil, err
		}
		if found, err = b.settle(ctx, h, service, found); err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// compareAll looks at all of them, then reads the log as far as the last look
// needs it, and judges each at the position of its own look.
func (b *Bench) compareAll(ctx context.Context, h *history, service string, subjects []events.Subject) ([]finding, error) {
	c, out := b.Caches[service], make([]finding, 0, len(subjects))
	for lot := range slices.Chunk(subjects, cache.MendLot) {
		sight, err := b.look(ctx, h, service, lot)
		if err != nil {
			return nil, err
		}
		for i, who := range lot {
			out = append(out, finding{who: who, next: sight.Next, stored: sight.States[i]})
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	if err := h.advance(ctx, out[len(out)-1].next); err != nil {
		return nil, err
	}
	for i := range out {
		f := &out[i]
		f.right = h.judge(f.who, f.next)
		if f.unknown = f.right.none; f.unknown {
			continue
		}
		f.difference, f.differs = b.compare(c, h.partition, f.stored, f.right.state)
	}
	return out, nil
}

// look reads states, and refuses a cache that lost its position, or went back
// behind what the histories begin with.
func (b *Bench) look(ctx context.Context, h *history, service string, subjects []events.Subject) (cache.Sight, error) {
	if err := b.mayGoOn(ctx); err != nil {
		return cache.Sight{}, err
	}
	sight, err := b.Caches[service].Look(ctx, h.partition, subjects)
	switch {
	case err != nil:
		return sight, err
	case !sight.Known:
		return sight, exit.Refuse("partition %d of %s lost its position: it is being built from the log", h.partition, service)
	case sight.Next < h.base:
		return sight, exit.Refuse("partition %d of %s went back to %d: it is being built from the log", h.partition, service, sight.Next)
	}
	return sight, nil
}

// settle looks again at what is newer than the position that it was read at, and at
// whom the snapshots know more of than the service.
func (b *Bench) settle(ctx context.Context, h *history, service string, found []finding) ([]finding, error) {
	for try := range settleTries {
		if err := h.drain(); err != nil {
			return nil, err
		}
		var again []events.Subject
		at := make(map[events.Subject]int)
		for i := range found {
			f := &found[i]
			if f.unknown || f.differs && f.kind == Newer && b.ahead(service, h, f, try < settleHeard) {
				again, at[f.who] = append(again, f.who), i
			}
		}
		if len(again) == 0 {
			return found, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(settlePause):
		}
		anew, err := b.compareAll(ctx, h, service, again)
		if err != nil {
			return nil, err
		}
		for i := range anew {
			found[at[anew[i].who]] = anew[i]
		}
	}
	return found, nil
}

// ahead says whether a stored state is of an event that is not applied yet, and
// that is in the log, or may be.
func (b *Bench) ahead(service string, h *history, f *finding, may bool) bool {
	have, err := b.Caches[service].StateOf(h.partition, f.stored)
	if err != nil {
		return false
	}
	at, known := have.Version()
	return known && at.Offset >= f.next && (may || at.Offset < h.at)
}

// open begins the history of a partition that all services can be compared with:
// its base is the lowest position of those that have one.
func (b *Bench) open(ctx context.Context, partition int32, log stream.Offsets, services []string, wanted func([]byte) bool) (*history, map[string]cache.Sight, error) {
	base, sights := int64(-1), make(map[string]cache.Sight, len(services))
	for _, service := range services {
		sight, err := b.Caches[service].Look(ctx, partition, nil)
		if err != nil {
			return nil, nil, err
		}
		sights[service] = sight
		if !sight.Known {
			continue
		}
		if err := b.reaches(ctx, partition, service, sight.Next, log.End); err != nil {
			return nil, nil, err
		}
		if base < 0 || sight.Next < base {
			base = sight.Next
		}
	}
	if base < 0 {
		return nil, sights, nil
	}
	h, err := b.newHistory(ctx, partition, log, base, wanted)
	if err != nil {
		return nil, nil, fmt.Errorf("partition %d: %w", partition, err)
	}
	return h, sights, nil
}

// reaches refuses a cache that stands behind the end of the log: it is another's.
// The log may have grown since its end was asked for.
func (b *Bench) reaches(ctx context.Context, partition int32, service string, next, end int64) error {
	if next <= end {
		return nil
	}
	ends, err := b.Log.Offsets(ctx, b.Topic)
	if err != nil {
		return err
	}
	if end = ends[partition].End; next > end {
		return exit.Refuse("partition %d of %s stands at %d, and the log ends at %d: it is another log", partition, service, next, end)
	}
	return nil
}
