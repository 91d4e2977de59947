package replay

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

// heldAt returns, by subject, which events hold when everything below next is
// applied.
func (h *history) heldAt(next int64) map[events.Subject][]events.Position {
	by := make(map[events.Subject][]events.Position)
	for hold, held := range h.fold.Holds {
		if held.From >= 0 && held.From < next && (held.Released < 0 || held.Released >= next) {
			by[hold.Subject] = append(by[hold.Subject], hold.At)
		}
	}
	return by
}

// LostHold is a hold that a service ought to have and has not: denials that only
// an event in the parked topic remembers. Laying it again only denies.
type LostHold struct {
	Service   string `json:"service"`
	Partition int32  `json:"partition"`
	Subject   string `json:"subject"` // fingerprint
	At        string `json:"at"`      // where the event first stood
}

func known(h *cache.Holding, at events.Position) bool {
	return slices.Contains(h.By, at) || slices.Contains(h.Released, at)
}

// planHolds adds the holds that a service lost of what it had applied when it was
// first looked at. What was released since is remembered in the cache.
func (b *Bench) planHolds(ctx context.Context, p *Plan, h *history, service string, next int64, part *Part) error {
	held := h.heldAt(next)
	for _, who := range slices.SortedFunc(maps.Keys(held), byID) {
		have, err := b.Caches[service].Holding(ctx, who)
		if err != nil {
			return err
		}
		lost := slices.DeleteFunc(held[who], func(at events.Position) bool { return known(&have, at) })
		if len(lost) == 0 || have.Overflow { // who is held by more than can be told is held
			continue
		}
		for _, at := range lost {
			p.Holds = append(p.Holds, LostHold{
				Service: service, Partition: h.partition, Subject: fingerprint(p.Salt, []byte(who.Reveal())), At: at.String(),
			})
		}
		part.Unheld++
	}
	lost, err := b.lostStrays(ctx, service, h.elsewhere())
	if err != nil {
		return err
	}
	part.Unheld += p.addHolds(service, h.partition, lost)
	return nil
}

func byID(a, b events.Subject) int { return strings.Compare(a.Reveal(), b.Reveal()) }

// layHolds lays the planned holds of a part again. One that was released since
// stays released.
func (w *Work) layHolds(ctx context.Context, part *workPart) error {
	c := w.bench.Caches[part.service]
	for _, l := range part.holds {
		have, err := c.Holding(ctx, l.who)
		if err != nil {
			return err
		}
		if known(&have, l.at) {
			part.counts.Settled++
			continue
		}
		if err := c.Hold(ctx, l.who, l.at); err != nil {
			return err
		}
		part.counts.Held++
	}
	return nil
}

// dueHold is a hold that a part is to lay.
type dueHold struct {
	who events.Subject
	at  events.Position
}
