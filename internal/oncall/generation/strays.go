package generation

import (
	"context"
	"fmt"
	"slices"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/parked"
)

// noteEnds notes how far a service has read the old log, before nobody knows any more.
func (l *layout) noteEnds(ctx context.Context, s *service) error {
	spots, err := s.old().Spots(ctx, numbers(l.Old.Partitions)...)
	if err != nil {
		return err
	}
	for p, spot := range spots {
		if at, known := l.read[int32(p)]; !spot.Known || known && at <= spot.Next {
			continue
		}
		l.read[int32(p)] = spot.Next
	}
	return nil
}

// publishStrays publishes again, in the new log and with its first place, what came
// where it did not count: behind a barrier, or before the new log was open. The services
// kept it aside, and hold whom it restricts until the new log has it. What came when they
// had left already is read from the old log itself.
func (l *layout) publishStrays(ctx context.Context) (string, error) {
	cases, _, err := l.Parked.Cases(ctx)
	if err != nil {
		return "", err
	}
	cases = slices.DeleteFunc(cases, func(c *parked.Case) bool { return c.State() != parked.Open || !l.isStray(c) })
	n := 0
	if len(cases) > 0 {
		const force = true // whether they can be applied the new log will say
		plan, err := l.Parked.PlanRedrive(ctx, cases, "written where it did not count", force)
		if err != nil {
			return "", err
		}
		if err := l.Parked.Apply(ctx, plan, 0, func(*parked.Item) { n++ }); err != nil {
			return "", err
		}
	}
	late, err := l.publishLate(ctx)
	if err != nil {
		return "", err
	}
	if l.report.Strays = n + late; l.report.Strays == 0 {
		return "", nil
	}
	return fmt.Sprintf("published %d events again that were written where they did not count", l.report.Strays), nil
}

func (l *layout) isStray(c *parked.Case) bool {
	reasons := c.Reasons()
	return c.First.Generation == l.Old.Generation && slices.Contains(reasons, events.ReasonBehindBarrier) ||
		c.First.Generation == l.New.Generation && slices.Contains(reasons, events.ReasonBeforeOpening)
}

// publishLate publishes what stands in the old log behind where every service left it.
func (l *layout) publishLate(ctx context.Context) (int, error) {
	ends, err := l.Admin.Offsets(ctx, l.Old.Topic)
	if err != nil {
		return 0, err
	}
	ranges := make(map[int32]stream.Range)
	for p, at := range l.read {
		if at < ends[p].End {
			ranges[p] = stream.Range{From: at, To: ends[p].End}
		}
	}
	var messages []stream.Message
	err = l.each(ctx, l.Old.Topic, ranges, func(r *stream.Record, e *events.Event) {
		if e.Type != events.LogBarrier && len(r.Key) > 0 {
			messages = append(messages, parked.Again(r, l.New.Topic, e.Logged))
		}
	})
	if err != nil || len(messages) == 0 {
		return 0, err
	}
	if _, err := l.Publisher.PublishAll(ctx, messages); err != nil {
		return 0, fmt.Errorf("publish %d events again: %w", len(messages), err)
	}
	return len(messages), nil
}
