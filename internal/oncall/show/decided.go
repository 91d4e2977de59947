package show

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/cluster"
	"github.com/kelisim/kelisim/internal/oncall/record"
)

// Event is a record that decided or holds.
type Event struct {
	record.Event
	Gone bool `json:"gone,omitempty"` // no longer in the log
}

// positions returns what answers and holds name, in the order of the log.
func (r *Report) positions() []events.Position {
	var all []events.Position
	for _, s := range r.Services {
		for _, a := range s.Answers {
			if a.By != "" {
				all = append(all, a.by)
			}
		}
		for _, text := range s.Held {
			if at, err := events.ParsePosition(text); err == nil && at.Generation != 0 {
				all = append(all, at)
			}
		}
	}
	slices.SortFunc(all, func(a, b events.Position) int {
		return cmp.Or(cmp.Compare(a.Generation, b.Generation), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	return slices.Compact(all)
}

// read reads the records at these positions. Few events decide about a person, so
// it reads one by one.
func read(ctx context.Context, k *cluster.Cluster, rules *events.Rules, at []events.Position) ([]Event, error) {
	all := make([]Event, 0, len(at))
	if len(at) == 0 {
		return all, nil
	}
	reader, err := k.Reader(k.Topics.Events)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	offsets, err := reader.Offsets(ctx)
	if err != nil {
		return nil, err
	}
	describe := record.Reader{Rules: rules, Generation: k.Generation}
	for _, p := range at {
		event := Event{Event: record.Event{Position: p.String()}, Gone: true}
		if o, has := offsets[p.Partition]; has && p.Generation == k.Generation && o.First <= p.Offset && p.Offset < o.End {
			one := map[int32]stream.Range{p.Partition: {From: p.Offset, To: p.Offset + 1}}
			err := reader.Read(ctx, one, func(b *stream.Batch) error {
				event.Event, _ = describe.Describe(&b.Records[0])
				event.Gone = false
				return nil
			})
			if err != nil {
				return nil, fmt.Errorf("record %s: %w", p, err)
			}
		}
		all = append(all, event)
	}
	return all, nil
}
