package replay

import (
	"context"
	"slices"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

// hold is an event that holds its subject, or one that releases it, where it
// stands in the log.
type hold struct {
	offset  int64
	at      events.Position // where the event that holds first stood
	release bool
}

// hold notes what the event at hand does.
func (h *history) hold(who events.Subject, release bool) {
	at := h.event.Logged.Position
	if !h.event.First.IsZero() {
		at = h.event.First.Position
	}
	h.holds[who] = append(h.holds[who], hold{h.event.Logged.Position.Offset, at, release})
}

// held returns which events hold a subject when everything below next is applied.
func (h *history) held(who events.Subject, next int64) (by []events.Position) {
	for _, e := range h.holds[who] {
		switch {
		case e.offset >= next:
			return by
		case e.release:
			by = slices.DeleteFunc(by, func(p events.Position) bool { return p == e.at })
		case !slices.Contains(by, e.at):
			by = append(by, e.at)
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

// lostHolds returns which holds of a subject a service lost. It is asked behind
// the look that found it at next: what was released since is remembered there.
func (b *Bench) lostHolds(ctx context.Context, h *history, service string, who events.Subject, next int64) ([]events.Position, error) {
	want := h.held(who, next)
	if len(want) == 0 {
		return nil, nil
	}
	have, err := b.Caches[service].Holding(ctx, who)
	if err != nil || have.Overflow { // who is held by more than can be told is held
		return nil, err
	}
	return slices.DeleteFunc(want, func(p events.Position) bool { return known(&have, p) }), nil
}

func known(h *cache.Holding, at events.Position) bool {
	return slices.Contains(h.By, at) || slices.Contains(h.Released, at)
}

// planHolds adds the lost holds of the subjects that were found.
func (b *Bench) planHolds(ctx context.Context, p *Plan, h *history, service string, found []finding, part *Part) error {
	for i := range found {
		lost, err := b.lostHolds(ctx, h, service, found[i].who, found[i].next)
		if err != nil {
			return err
		}
		for _, at := range lost {
			p.Holds = append(p.Holds, LostHold{
				Service: service, Partition: h.partition, Subject: fingerprint(p.Salt, []byte(found[i].who.Reveal())), At: at.String(),
			})
		}
		if len(lost) > 0 {
			part.Unheld++
		}
	}
	return nil
}

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
