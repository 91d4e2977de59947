package replay

import (
	"context"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cekafka/cesql"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/window"
)

// Selection says which records of the log are replayed: those of a window that are
// what its other fields say. Its zero fields choose all.
type Selection struct {
	window.Window
	Types   []events.Type
	Sources []string // CloudEvents sources
	Filter  *cesql.Filter
}

// ranges works out what the selection is in each partition, within what the log
// has. A partition in which nothing is selected is left out.
func (b *Bench) ranges(ctx context.Context, s *Selection) (map[int32]stream.Range, map[int32]stream.Offsets, error) {
	parts, err := s.Parts(ctx, b.Log, b.Topic, b.Partitions)
	if err != nil {
		return nil, nil, err
	}
	if err := window.Some(parts); err != nil { // a plan that looks at nothing would find nothing wrong
		return nil, nil, err
	}
	ranges := make(map[int32]stream.Range, len(parts))
	for p, part := range parts {
		if part.From < part.To {
			ranges[p] = part.Range
		}
	}
	ends, err := b.Log.Offsets(ctx, b.Topic) // of all: events of other partitions hold people of these
	return ranges, ends, err
}
