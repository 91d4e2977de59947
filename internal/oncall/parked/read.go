package parked

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
)

// Cases reads the parked topic and returns what it holds, oldest first. A record
// that is neither a copy nor a marker is counted: it is somebody else's.
func (d *Desk) Cases(ctx context.Context) (cases []*Case, strange int, err error) {
	found := make(map[events.Position]*Case)
	err = d.readAll(ctx, func(r *stream.Record) {
		if !d.enter(found, r) {
			strange++
		}
	})
	if err != nil {
		return nil, 0, err
	}
	maps.DeleteFunc(found, func(_ events.Position, c *Case) bool { return len(c.Copies) == 0 }) // retention took them
	for _, c := range found {
		if c.Copies[0].LeftOut > 0 {
			if err := d.complete(ctx, c); err != nil {
				return nil, 0, err
			}
		}
	}
	cases = slices.Collect(maps.Values(found))
	slices.SortFunc(cases, func(a, b *Case) int {
		return cmp.Or(cmp.Compare(a.Appended, b.Appended), cmp.Compare(a.First.Partition, b.First.Partition), cmp.Compare(a.First.Offset, b.First.Offset))
	})
	return cases, strange, nil
}

// readAll reads what the parked topic holds by now.
func (d *Desk) readAll(ctx context.Context, each func(*stream.Record)) error {
	offsets, err := d.Log.Offsets(ctx, d.Topics.Parked)
	if err != nil {
		return err
	}
	ranges := make(map[int32]stream.Range, len(offsets))
	for p, o := range offsets {
		ranges[p] = stream.Range{From: o.First, To: o.End}
	}
	return d.Log.Read(ctx, d.Topics.Parked, ranges, func(b *stream.Batch) error {
		for i := range b.Records {
			each(&b.Records[i])
		}
		return nil
	})
}

// enter enters a record of the parked topic.
func (d *Desk) enter(found map[events.Position]*Case, r *stream.Record) bool {
	if isMarker(r) {
		m, first, err := parseMarker(r)
		if err != nil {
			return false
		}
		c := of(found, first)
		c.Markers = append(c.Markers, m)
		return true
	}
	p, o, err := split(r)
	if err != nil {
		return false
	}
	var e events.Event
	readable := d.Decoder.Decode(o.record(), &e) == nil
	p.stamp = firstOf(&o, p.stamp)
	if readable && !e.First.IsZero() {
		p.stamp = e.First // of an event in structured mode, which has no headers of its own
	}
	p.Attempt = attemptOf(&o)
	c := of(found, p.stamp.Position)
	c.Copies = append(c.Copies, p)
	if len(c.Copies) == 1 {
		c.Appended = p.stamp.Appended
		c.describe(&o, &e, readable)
	}
	return true
}

// describe takes from the event what is told of it. One that cannot be read tells
// whom it names all the same.
func (c *Case) describe(o *original, e *events.Event, readable bool) {
	c.Subject, c.key = cloneSubject(o.subject()), bytes.Clone(o.key)
	if e.Subject != c.Subject {
		c.Named = cloneSubject(e.Subject)
	}
	c.Type, c.Source = o.header("ce_type"), o.header("ce_source")
	if readable {
		c.Type, c.Source = e.Type.String(), string([]byte(e.Source))
	}
	c.Type, c.Source = shown(c.Type), shown(c.Source)
}

func of(found map[events.Position]*Case, first events.Position) *Case {
	c := found[first]
	if c == nil {
		c = &Case{First: first}
		found[first] = c
	}
	return c
}

// Find returns the case of a position: one of the cases, or one that retention took
// from them, and not what it holds. See [Desk.Expired].
func (d *Desk) Find(ctx context.Context, cases []*Case, at events.Position) (*Case, error) {
	if c := find(cases, at); c != nil {
		return c, nil
	}
	c, err := d.Expired(ctx, at)
	if err != nil {
		return nil, err
	}
	return cmp.Or(find(cases, c.First), c), nil
}

// find returns the case that first stood at a position, or was met there; or nil.
func find(cases []*Case, at events.Position) *Case {
	for _, c := range cases {
		if slices.Contains(c.positions(), at) {
			return c
		}
	}
	return nil
}

func cloneSubject(s events.Subject) events.Subject {
	c, _ := events.ParseSubject(string([]byte(s.Reveal()))) // it was one
	return c
}
