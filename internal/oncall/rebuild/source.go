package rebuild

import (
	"context"
	"errors"
	"fmt"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/snapshot"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
)

// lot is how many states are written at a time: a few for each bucket, and a
// megabyte or so on the way.
const lot = 8192

// fromSnapshots stages the newest states of the state topic, and lets the log be
// followed from their checkpoint on.
func (p *part) fromSnapshots(ctx context.Context) (why string, err error) {
	live, err := spots(ctx, p.cfg.Live, p.id)
	if err != nil {
		return "", err
	}
	if live.Stage != events.StageOpen {
		return fmt.Sprintf("the log is %s there, and only its barriers say from where on", live.Stage), nil
	}
	at, why, err := p.load(ctx)
	if why != "" || err != nil {
		return why, err
	}
	log, err := stream.NewReader(stream.ReaderConfig{Config: p.cfg.Kafka, Topic: p.cfg.Events})
	if err != nil {
		return "", err
	}
	defer log.Close()
	kept, err := log.Offsets(ctx, p.id)
	switch {
	case err != nil:
		return "", err
	case at < kept[p.id].First || at > kept[p.id].End:
		return fmt.Sprintf("the snapshots reach to %d, and the log has %d to %d", at, kept[p.id].First, kept[p.id].End), nil
	}
	err = unshaken(ctx, func() error {
		mark, err := p.cfg.Staging.Claim(ctx, p.id)
		if err == nil {
			_, err = p.cfg.Staging.Begin(ctx, p.id, mark.Epoch, at) // reads what is really there
		}
		return err
	})
	p.report.From = at
	return "", err
}

// load stages all that the partition of the state topic holds, and returns the
// offset from which on the log is needed.
func (p *part) load(ctx context.Context) (at int64, why string, err error) {
	reader, err := stream.NewReader(stream.ReaderConfig{Config: p.cfg.Kafka, Topic: p.cfg.State})
	if err != nil {
		return 0, "", err
	}
	defer reader.Close()
	var checkpoint *snapshot.Checkpoint
	var holds *snapshot.Holds
	full := make([]cache.Full, 0, lot)
	flush := func() error {
		err := unshaken(ctx, func() error { return p.cfg.Staging.Fill(ctx, p.id, full) })
		p.cfg.Progress.Add(p.id, int64(len(full)))
		full = full[:0]
		return err
	}
	err = snapshot.ReadAll(ctx, reader, []int32{p.id}, func(_ int32, e snapshot.Entry) error {
		switch {
		case e.Checkpoint != nil:
			checkpoint = e.Checkpoint
		case e.Holds != nil:
			holds = e.Holds
		case !e.Subject.IsZero() && !e.State.IsZero():
			if full = append(full, cache.Full{Subject: e.Subject, State: e.State}); len(full) == lot {
				return flush()
			}
		}
		return nil
	})
	if err == nil && len(full) > 0 {
		err = flush()
	}
	generation := p.cfg.Live.Layout().Generation
	switch {
	case errors.Is(err, snapshot.ErrRecord):
		return 0, fmt.Sprintf("the state topic cannot be read: %v", err), nil
	case err != nil:
		return 0, "", err
	case checkpoint == nil || holds == nil:
		return 0, "the state topic has no checkpoint", nil
	case checkpoint.Generation != generation || holds.Generation != generation:
		return 0, fmt.Sprintf("the snapshots are of generation %d", checkpoint.Generation), nil
	case holds.Truncated:
		return 0, "more subjects are held than the state topic tells of", nil
	}
	return checkpoint.Acted, "", unshaken(ctx, func() error { return p.cfg.Staging.FillHolds(ctx, p.id, holds.Held) })
}
