// Package tail shows events as they come.
package tail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kelisim/kelisim/events/cekafka/cesql"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/cluster"
	"github.com/kelisim/kelisim/internal/oncall/output"
	"github.com/kelisim/kelisim/internal/oncall/record"
)

// Config says which events are shown.
type Config struct {
	Since  time.Time     // begin here; zero is now
	Filter *cesql.Filter // nil shows everything, also what is no event
	Reveal bool          // say whom each is about
	Limit  int           // stop after so many; 0 is never
}

// Event is one event as it is shown.
type Event struct {
	record.Event
	Revealed string `json:"subjectId,omitempty"` // where that was asked for
}

// errEnough ends a tail that has shown as many as it should.
var errEnough = errors.New("enough")

// Follow calls each with every event that comes, in the order of each partition,
// until ctx ends or there were enough. It reads with no group, so it disturbs nobody.
func Follow(ctx context.Context, k *cluster.Cluster, cfg Config, each func(Event) error) error {
	rules, err := k.Rules(ctx)
	if err != nil {
		return err
	}
	reader, err := k.Reader(k.Topics.Events)
	if err != nil {
		return err
	}
	defer reader.Close()
	from, err := begin(ctx, k, reader, cfg.Since)
	if err == nil {
		err = reader.Start(ctx, from)
	}
	f := follower{cfg: cfg, describe: record.Reader{Rules: rules, Generation: k.Generation}, each: each}
	for err == nil {
		var fetch *stream.Fetch
		if fetch, err = reader.Poll(ctx); err == nil {
			err = f.show(fetch)
			fetch.Release()
		}
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return fmt.Errorf("topic %s: %w", k.Topics.Events, err)
}

// begin returns where to read from: the end, or the first records since then.
func begin(ctx context.Context, k *cluster.Cluster, reader *stream.Reader, since time.Time) (map[int32]int64, error) {
	offsets, err := reader.Offsets(ctx)
	if err != nil {
		return nil, err
	}
	from := make(map[int32]int64, len(offsets))
	for p, o := range offsets {
		from[p] = o.End
	}
	if since.IsZero() {
		return from, nil
	}
	admin, err := k.Admin()
	if err != nil {
		return nil, err
	}
	at, err := admin.OffsetsAt(ctx, k.Topics.Events, since)
	for p, offset := range at {
		if offset >= 0 {
			from[p] = offset
		}
	}
	return from, err
}

// follower shows what a fetch holds.
type follower struct {
	cfg      Config
	describe record.Reader
	each     func(Event) error
	shown    int
}

func (f *follower) show(fetch *stream.Fetch) error {
	for i := range fetch.Batches {
		records := fetch.Batches[i].Records
		for j := range records {
			r := &records[j]
			if f.cfg.Filter != nil && !f.cfg.Filter.Match(r.Headers.All(), r.Value) {
				continue
			}
			said, _ := f.describe.Describe(r)
			event := Event{Event: said}
			if f.cfg.Reveal {
				event.Revealed = said.Subject.Reveal()
			}
			if err := f.each(event); err != nil {
				return err
			}
			if f.shown++; f.shown == f.cfg.Limit {
				return errEnough
			}
		}
	}
	return nil
}

// Text implements [output.Result]: one line.
func (e Event) Text(w io.Writer) {
	who := e.Subject.String()
	if e.Revealed != "" {
		who = e.Revealed
	}
	fmt.Fprintf(w, "%s  %s  %s  %s", e.Appended.Format("15:04:05.000"), e.Position, who, output.Plain(e.Words()))
	if e.Source != "" {
		fmt.Fprintf(w, "  %s %s", output.Plain(e.Source), output.Plain(e.ID))
	}
	fmt.Fprintln(w)
}
