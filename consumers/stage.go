package consumers

import (
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
)

// turnStage has a barrier turn the stage of its partition. The position behind it is
// stored with the stage, so that every later owner knows it. Behind the end nothing
// is folded any more, and freshness goes on to be proved: the partition is complete.
// A barrier that has no place where it stands is put aside.
func (r *reader) turnStage(p *partition, record *stream.Record, event *events.Event) {
	next, reason := p.stage.Turn(event.Barrier, event.Logged.Position)
	if reason != "" {
		r.refuseStage(p, record, event, reason)
		return
	}
	p.stage = next
	r.log.Info("the log turns", "stage", next.String(), "position", event.Logged.Position.String())
}

// refuseStage puts aside what the stage does not take, so that it is lost to nobody:
// a decision behind the end is published again in the next generation
// (docs/generation.md). What restricts holds its subject until then; what permits
// changes nothing.
func (r *reader) refuseStage(p *partition, record *stream.Record, event *events.Event, reason string) {
	bad := r.park(record, event.Logged, cloneSubject(event.Subject), reason)
	bad.hold = bad.hold && event.Type.Restricts()
	r.aside(p, bad, event)
}
