package parked

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/kelisim/kelisim/events"
)

// subjects are whom a case may hold: who its key says, and whom the event names
// where that is somebody else.
func (c *Case) subjects() []events.Subject {
	var out []events.Subject
	for _, s := range [...]events.Subject{c.Subject, c.Named} {
		if !s.IsZero() {
			out = append(out, s)
		}
	}
	return out
}

// about is whom the event itself is about.
func (c *Case) about() events.Subject {
	if !c.Named.IsZero() {
		return c.Named
	}
	return c.Subject
}

// positions are by what it may hold them: where it first stood, and where a redrive
// that could not even be read was met.
func (c *Case) positions() []events.Position {
	out := []events.Position{c.First}
	if c.log != (events.Position{}) && c.log != c.First {
		out = append(out, c.log)
	}
	for _, p := range c.Copies {
		if !slices.Contains(out, p.position) {
			out = append(out, p.position)
		}
	}
	return out
}

// Holds asks every service whether the cases hold anybody there.
func (d *Desk) Holds(ctx context.Context, cases []*Case) error {
	for _, c := range cases {
		c.Held = nil
		for _, service := range slices.Sorted(maps.Keys(d.Caches)) {
			held, err := d.holds(ctx, service, c)
			if err != nil {
				return err
			}
			if held {
				c.Held = append(c.Held, service)
			}
		}
	}
	return nil
}

// holds says whether a case holds anybody in a service.
func (d *Desk) holds(ctx context.Context, service string, c *Case) (bool, error) {
	for _, s := range c.subjects() {
		h, err := d.Caches[service].Holding(ctx, s)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(c.positions(), func(at events.Position) bool { return slices.Contains(h.By, at) }) {
			return true, nil
		}
	}
	return false, nil
}

// release lifts what a case holds, in every service and for good.
func (d *Desk) release(ctx context.Context, c *Case) error {
	for _, service := range slices.Sorted(maps.Keys(d.Caches)) {
		if err := d.releaseIn(ctx, service, c); err != nil {
			return err
		}
	}
	return nil
}

func (d *Desk) releaseIn(ctx context.Context, service string, c *Case) error {
	for _, s := range c.subjects() {
		for _, at := range c.positions() {
			if err := d.Caches[service].Release(ctx, s, at); err != nil {
				return fmt.Errorf("release %v in %s: %w", at, service, err)
			}
		}
	}
	return nil
}

// settle lifts what is left of a redriven case where a service has applied its event:
// that releases the person whom the event is about by its first position, and nobody
// whom only its key named, and nothing that an earlier attempt left.
func (d *Desk) settle(ctx context.Context, c *Case) error {
	if len(c.subjects()) < 2 && len(c.positions()) < 2 {
		return nil
	}
	for _, service := range c.Held {
		h, err := d.Caches[service].Holding(ctx, c.about())
		if err != nil {
			return err
		}
		if slices.Contains(h.Released, c.First) && !slices.Contains(h.By, c.First) {
			if err := d.releaseIn(ctx, service, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// people names, masked, whom a case concerns.
func people(subject, named events.Subject) string {
	switch {
	case named.IsZero():
		return subject.String()
	case subject.IsZero():
		return named.String()
	}
	return subject.String() + "," + named.String()
}
