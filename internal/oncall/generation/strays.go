package generation

import (
	"context"
	"fmt"
	"slices"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/parked"
)

// publishStrays publishes again, in the new log and with its first place, what came
// where it did not count: behind a barrier, or before the new log was open. The services
// kept it aside, and hold whom it restricts until the new log has it; what came when
// they had left is found in the old log itself.
func (l *layout) publishStrays(ctx context.Context) (string, error) {
	cases, _, err := l.Parked.Cases(ctx)
	if err != nil {
		return "", err
	}
	n, err := l.publishMissing(ctx, cases)
	if err != nil {
		return "", err
	}
	cases = slices.DeleteFunc(cases, func(c *parked.Case) bool { return c.State() != parked.Open || !l.isStray(c) })
	const force = true // whether they can be applied the new log will say
	plan, err := l.Parked.PlanRedrive(ctx, cases, "written where it did not count", force)
	if err != nil {
		return "", err
	}
	if err := l.Parked.Apply(ctx, plan, 0, func(*parked.Item) {}); err != nil {
		return "", err
	}
	if l.report.Strays = n + plan.Count(parked.Publish); l.report.Strays == 0 {
		return "", nil
	}
	return fmt.Sprintf("published %d events again that were written where they did not count", l.report.Strays), nil
}

func (l *layout) isStray(c *parked.Case) bool {
	reasons := c.Reasons()
	return c.First.Generation == l.Old.Generation && slices.Contains(reasons, events.ReasonBehindBarrier) ||
		c.First.Generation == l.New.Generation && slices.Contains(reasons, events.ReasonBeforeOpening)
}

// publishMissing publishes every event that stands behind a barrier of the old log, and
// that the new one does not have. What somebody dismissed stays out; what is no event
// nobody can publish: it stays parked.
func (l *layout) publishMissing(ctx context.Context, cases []*parked.Case) (int, error) {
	strays, err := l.behindBarriers(ctx)
	if err != nil || len(strays) == 0 {
		return 0, err
	}
	for _, c := range cases {
		if c.State() == parked.Closed {
			delete(strays, c.First)
		}
	}
	ends, err := l.Admin.Offsets(ctx, l.New.Topic)
	if err != nil {
		return 0, err
	}
	ranges := make(map[int32]stream.Range)
	for p, o := range ends {
		ranges[p] = stream.Range{From: o.First, To: o.End}
	}
	err = l.each(ctx, l.New.Topic, ranges, func(_ *stream.Record, e *events.Event) {
		if !e.First.IsZero() {
			delete(strays, e.First.Position)
		}
	})
	if err != nil {
		return 0, err
	}
	messages := make([]stream.Message, 0, len(strays))
	for _, m := range strays {
		messages = append(messages, m)
	}
	if len(messages) == 0 {
		return 0, nil
	}
	if _, err := l.Publisher.PublishAll(ctx, messages); err != nil {
		return 0, fmt.Errorf("publish %d events again: %w", len(messages), err)
	}
	return len(messages), nil
}

// behindBarriers finds the events behind the barriers of the old log, by where they
// first stood, as they are to be published again. All of it came after the new log
// began, which is where it is looked for.
func (l *layout) behindBarriers(ctx context.Context) (map[events.Position]stream.Message, error) {
	began, err := l.began(ctx)
	if err != nil {
		return nil, err
	}
	from, err := l.Admin.OffsetsAt(ctx, l.Old.Topic, began.Time())
	if err != nil {
		return nil, err
	}
	ends, err := l.Admin.Offsets(ctx, l.Old.Topic)
	if err != nil {
		return nil, err
	}
	ranges := make(map[int32]stream.Range)
	for p, at := range from {
		if at >= 0 && at < ends[p].End {
			ranges[p] = stream.Range{From: at, To: ends[p].End}
		}
	}
	stages, strays := make(map[int32]events.Stage), make(map[events.Position]stream.Message)
	err = l.each(ctx, l.Old.Topic, ranges, func(r *stream.Record, e *events.Event) {
		at := e.Logged.Position
		switch {
		case e.Type == events.LogBarrier:
			stages[at.Partition], _ = stages[at.Partition].Turn(e.Barrier, at)
		case stages[at.Partition] == events.StageEnded && e.Type != 0 && !e.Type.OfLog():
			first := e.Logged
			if !e.First.IsZero() {
				first = e.First
			}
			strays[first.Position] = parked.Again(r, l.New.Topic, first)
		}
	})
	return strays, err
}

// began returns when the first barrier of the new log was appended.
func (l *layout) began(ctx context.Context) (first events.Millis, err error) {
	ranges := make(map[int32]stream.Range)
	for p := range l.New.Partitions {
		ranges[p] = stream.Range{From: 0, To: 1}
	}
	err = l.each(ctx, l.New.Topic, ranges, func(_ *stream.Record, e *events.Event) {
		if first == 0 || e.Logged.Appended < first {
			first = e.Logged.Appended
		}
	})
	return first, err
}
