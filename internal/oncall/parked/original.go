package parked

import (
	"context"
	"errors"
	"fmt"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
)

// originals reads the bytes of cases: of the first copy of each, which all the
// others repeat, or of the log of events where no copy has them.
func (d *Desk) originals(ctx context.Context, cases []*Case) (map[events.Position]original, error) {
	wanted := make(map[Place]*Case, len(cases))
	ranges := make(map[int32]stream.Range)
	found := make(map[events.Position]original, len(cases))
	for _, c := range cases {
		if at, only := c.inLogOnly(); only {
			o, _, err := d.inLog(ctx, at)
			if err != nil {
				return nil, err
			}
			found[c.First] = *o
			continue
		}
		at := c.Copies[0].Place
		wanted[at] = c
		r, some := ranges[at.Partition]
		if !some {
			r = stream.Range{From: at.Offset}
		}
		ranges[at.Partition] = stream.Range{From: min(r.From, at.Offset), To: max(r.To, at.Offset+1)}
	}
	err := d.Log.Read(ctx, d.Topics.Parked, ranges, func(b *stream.Batch) error {
		for i := range b.Records {
			c := wanted[Place{b.Partition, b.Records[i].Offset}]
			if c == nil {
				continue
			}
			_, o, err := split(&b.Records[i])
			if err != nil {
				return err
			}
			found[c.First] = o.clone()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, c := range cases {
		if _, ok := found[c.First]; !ok {
			return nil, fmt.Errorf("parked event of %v: its bytes are gone from %s", c.First, d.Topics.Parked)
		}
	}
	return found, nil
}

// inLogOnly returns where the bytes of a case stand in the log of events, if no copy
// has them.
func (c *Case) inLogOnly() (events.Position, bool) {
	switch {
	case c.log != (events.Position{}):
		return c.log, true
	case c.Copies[0].LeftOut > 0:
		return c.Copies[0].position, true
	}
	return events.Position{}, false
}

// errNoRecord means that the log of events has lost a record, or never had it.
var errNoRecord = errors.New("no record")

// inLog reads one record of the log of events, and when it was appended.
func (d *Desk) inLog(ctx context.Context, at events.Position) (*original, events.Millis, error) {
	gone := fmt.Errorf("%s has %w at %v any more", d.Topics.Events, errNoRecord, at)
	if at.Generation != d.Topics.Generation || at.Partition < 0 || at.Partition >= d.Topics.Partitions {
		return nil, 0, gone
	}
	ends, err := d.Log.Offsets(ctx, d.Topics.Events)
	if err != nil {
		return nil, 0, err
	}
	if end := ends[at.Partition]; at.Offset < end.First || at.Offset >= end.End {
		return nil, 0, gone
	}
	var found *original
	var appended events.Millis
	one := map[int32]stream.Range{at.Partition: {From: at.Offset, To: at.Offset + 1}}
	err = d.Log.Read(ctx, d.Topics.Events, one, func(b *stream.Batch) error {
		for i := range b.Records {
			r := &b.Records[i]
			if r.Offset != at.Offset {
				continue
			}
			o := logged(r)
			found, appended = &o, events.Millis(r.Time)
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("read the record at %v: %w", at, err)
	case found == nil:
		return nil, 0, gone
	}
	return found, appended, nil
}

// logged copies a record of the log of events.
func logged(r *stream.Record) original {
	o := original{key: r.Key, value: r.Value, logAppend: r.LogAppend}
	for key, value := range r.Headers.All() {
		o.headers = append(o.headers, stream.Header{Key: string(key), Value: value})
	}
	return o.clone()
}

// complete describes a case whose first copy lacks the bytes. What the log of events
// has no longer stays as it is.
func (d *Desk) complete(ctx context.Context, c *Case) error {
	at, _ := c.inLogOnly()
	o, _, err := d.inLog(ctx, at)
	switch {
	case errors.Is(err, errNoRecord):
		return nil
	case err != nil:
		return err
	}
	var e events.Event
	readable := d.Decoder.Decode(o.record(), &e) == nil
	c.describe(o, &e, readable)
	return nil
}

// reasonExpired is why nothing is known of a case but what the log of events tells.
const reasonExpired = "no-longer-parked"

// Expired returns the case of an event that the parked topic has no copy of any more:
// retention took it, and what it holds it still holds. It is described by the record
// that stands at its position in the log of events. What holds nobody is no case.
func (d *Desk) Expired(ctx context.Context, at events.Position) (*Case, error) {
	o, appended, err := d.inLog(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("nothing that stood at %v is parked, and %w", at, err)
	}
	var e events.Event
	readable := d.Decoder.Decode(o.record(), &e) == nil
	first := firstOf(o, events.Stamp{Position: at, Appended: appended})
	if readable && !e.First.IsZero() {
		first = e.First
	}
	c := &Case{First: first.Position, Appended: first.Appended, log: at}
	c.describe(o, &e, readable)
	if err := d.Holds(ctx, []*Case{c}); err != nil {
		return nil, err
	}
	if len(c.Held) == 0 {
		return nil, fmt.Errorf("nothing that stood at %v is parked, and what stands there holds nobody", at)
	}
	return c, nil
}
