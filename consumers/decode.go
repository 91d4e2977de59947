package consumers

import (
	"context"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
)

// decode reads the event of a record and returns its subject's tag. What cannot be
// decoded, or stands in a partition that is not its subject's, is put aside: 0.
func (r *reader) decode(ctx context.Context, p *partition, record *stream.Record, event *events.Event) (tag uint32, _ error) {
	at := events.Stamp{
		Position: events.Position{Generation: r.cfg.Generation, Partition: p.id, Offset: record.Offset},
		Appended: events.Millis(record.Time),
	}
	err := r.understand(record, event)
	if err != nil && reasonOf(err) == ReasonUnknownPurpose {
		if err := r.catchUp(ctx); err != nil {
			return 0, err
		}
		err = r.understand(record, event)
	}
	if err != nil {
		subject, _ := events.ParseSubject(string(record.Key)) // the zero Subject holds nobody
		event.First = events.Stamp{}
		bad := r.park(record, at, subject, reasonOf(err))
		if event.Subject != subject { // the person that it is about, under a key of something else
			bad.named = cloneSubject(event.Subject)
		}
		bad.hold = event.Type == 0 || event.Type.Restricts() // what permits is kept aside and changes nothing
		r.aside(p, bad, event)
		return 0, nil
	}
	event.Logged = at
	if !record.LogAppend {
		r.aside(p, r.park(record, at, cloneSubject(event.Subject), ReasonNoAppendTime), event)
		return 0, nil
	}
	if event.Type == events.LogBarrier {
		r.turnStage(p, record, event)
		return 0, nil
	}
	if events.PartitionOf(event.Subject.Reveal(), r.cfg.Partitions) != p.id {
		bad := r.park(record, at, cloneSubject(event.Subject), ReasonMisplaced)
		bad.hold = event.Type.Restricts() // what permits is kept aside and changes nothing
		r.aside(p, bad, event)
		return 0, nil
	}
	if reason := p.stage.Takes(event.Type); reason != "" {
		r.refuseStage(p, record, event, reason)
		return 0, nil
	}
	return p.memo.tag(event.Subject), nil
}

func (r *reader) understand(record *stream.Record, event *events.Event) error {
	*event = events.Event{}
	return r.decoder.Decode(record, event)
}

// aside puts a record among those to park with this window, and holds whom it
// concerns, each in its own partition: with the window, or beside it when that is
// another than the record's.
func (r *reader) aside(p *partition, bad parked, event *events.Event) {
	part := r.window.of(p)
	if !event.First.IsZero() {
		bad.first = event.First.Position // held by this already
	}
	for _, s := range [...]events.Subject{bad.subject, bad.named} {
		switch {
		case !bad.hold || s.IsZero():
		case events.PartitionOf(s.Reveal(), r.cfg.Partitions) == p.id:
			part.holds = append(part.holds, cache.Hold{Subject: s, At: bad.first})
		default:
			bad.elsewhere = append(bad.elsewhere, s)
		}
	}
	part.parked = append(part.parked, bad)
}
