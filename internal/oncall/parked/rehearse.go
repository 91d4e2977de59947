package parked

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
)

// fault says why an event, redriven now, would be parked again, or "" if it would
// not: it is decoded and folded as a service would, onto the state that each
// service holds. The log's end is where it would stand.
func (d *Desk) fault(ctx context.Context, o *original, c *Case, end stream.Offsets) (string, error) {
	first := events.Stamp{Position: c.First, Appended: c.Appended}
	m := o.again(d.Topics.Events, stream.AnyPartition, first, c.Attempts()+1)
	again := original{key: m.Key, value: m.Value, headers: m.Headers, logAppend: true}
	var e events.Event
	if err := d.Decoder.Decode(again.record(), &e); err != nil {
		return reasonOf(err), nil
	}
	partition := events.PartitionOf(e.Subject.Reveal(), d.Topics.Partitions)
	e.Logged = events.Stamp{
		Position: events.Position{Generation: d.Topics.Generation, Partition: partition, Offset: end.End},
		Appended: events.MillisOf(d.now()),
	}
	if len(d.Caches) == 0 {
		return d.judge(events.State{}, &e), nil
	}
	for _, service := range slices.Sorted(maps.Keys(d.Caches)) {
		reason, err := d.faultIn(ctx, d.Caches[service], &e)
		if err != nil {
			return "", err
		}
		if reason != "" {
			return reason, nil
		}
	}
	return "", nil
}

// faultIn asks for one service. A state that cannot be read parks everything.
func (d *Desk) faultIn(ctx context.Context, cache Cache, e *events.Event) (string, error) {
	partition := e.Logged.Position.Partition
	sight, err := cache.Look(ctx, partition, []events.Subject{e.Subject})
	if err != nil {
		return "", err
	}
	state, err := cache.StateOf(partition, sight.States[0])
	if err != nil {
		return events.ReasonState, nil
	}
	e.Logged.Position.Offset = max(e.Logged.Position.Offset, sight.Next) // behind everything that is folded
	return d.judge(state, e), nil
}

func (d *Desk) judge(state events.State, e *events.Event) string {
	if _, out := d.Rules.Apply(state, e); out.Verdict == events.Park {
		return out.Reason
	}
	return ""
}

// reasonOf names why a record cannot be decoded, as the engine does.
func reasonOf(err error) string {
	var r interface{ Reason() string }
	if errors.As(err, &r) {
		return r.Reason()
	}
	return "unreadable"
}

// sent finds redrives of cases in the log of events, by the first position that
// they carry: also of one who died before he could say so.
func (d *Desk) sent(ctx context.Context, cases []*Case, ends map[int32]stream.Offsets) (map[events.Position][]events.Position, error) {
	since, err := d.since(ctx, cases)
	if err != nil {
		return nil, err
	}
	ranges := make(map[int32]stream.Range)
	wanted := make(map[events.Position]bool, len(cases))
	for _, c := range cases {
		wanted[c.First] = true
		for _, p := range [...]int32{events.PartitionOf(c.key, d.Topics.Partitions), d.home(c)} {
			if from := since[p]; from >= 0 {
				ranges[p] = stream.Range{From: max(from, ends[p].First), To: ends[p].End}
			}
		}
	}
	found := make(map[events.Position][]events.Position)
	err = d.Log.Read(ctx, d.Topics.Events, ranges, func(b *stream.Batch) error {
		for i := range b.Records {
			if first := d.firstIn(&b.Records[i]); wanted[first] {
				at := events.Position{Generation: d.Topics.Generation, Partition: b.Partition, Offset: b.Records[i].Offset}
				found[first] = append(found[first], at)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for earlier redrives: %w", err)
	}
	return found, nil
}

// home is the partition that the event of a case belongs to: under its own key, or,
// once that is mended, of the person whom it is about.
func (d *Desk) home(c *Case) int32 {
	if about := c.about(); !about.IsZero() {
		return events.PartitionOf(about.Reveal(), d.Topics.Partitions)
	}
	return events.PartitionOf(c.key, d.Topics.Partitions)
}

// clockSlack is by how much the clocks of two brokers may differ: a redrive stands
// in the log after its event was parked, by whose clock ever.
const clockSlack = 10 * time.Minute

// since returns from where redrives of the cases may stand, by partition.
func (d *Desk) since(ctx context.Context, cases []*Case) (map[int32]int64, error) {
	oldest := d.now()
	for _, c := range cases {
		if at := c.ParkedAt().Time(); at.Before(oldest) {
			oldest = at
		}
	}
	return d.Log.OffsetsAt(ctx, d.Topics.Events, oldest.Add(-clockSlack))
}

// firstIn returns the first position that a record of the log carries, or the zero
// position.
func (d *Desk) firstIn(r *stream.Record) events.Position {
	var text string
	for key, value := range r.Headers.All() {
		switch string(key) {
		case headerFirstPosition:
			text = string(value)
		case "content-type":
			if o := (original{headers: []stream.Header{{Key: "content-type", Value: value}}}); !o.isStructured() {
				continue
			}
			var e events.Event
			if d.Decoder.Decode(r, &e) == nil {
				return e.First.Position
			}
		}
	}
	at, err := events.ParsePosition(text)
	if err != nil {
		return events.Position{}
	}
	return at
}
