package rebuild

import (
	"context"
	"fmt"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/basis"
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
	kept, err := p.kept(ctx)
	switch {
	case err != nil:
		return "", err
	case at < kept.First && p.cfg.Remains:
		p.report.Why = fmt.Sprintf("the snapshots reach to %d: nobody knows what stood from there to %d", at, kept.First)
		at = kept.First
	case at < kept.First || at > kept.End:
		return fmt.Sprintf("the snapshots reach to %d, and the log has %d to %d", at, kept.First, kept.End), nil
	}
	err = unshaken(ctx, func() error {
		mark, err := p.cfg.Staging.Claim(ctx, p.id)
		if err == nil {
			_, err = p.cfg.Staging.Begin(ctx, p.id, mark.Epoch, at) // reads what is really there
		}
		return err
	})
	p.report.From = at
	p.show(at)
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
	full := make([]cache.Full, 0, lot)
	flush := func() error {
		err := unshaken(ctx, func() error { return p.cfg.Staging.Fill(ctx, p.id, full) })
		full = full[:0]
		return err
	}
	read, why, err := basis.Read(ctx, reader, p.id, p.cfg.Live.Layout().Generation, func(s events.Subject, state events.State) error {
		if full = append(full, cache.Full{Subject: s, State: state}); len(full) == lot {
			return flush()
		}
		return nil
	})
	if err == nil && why == "" && len(full) > 0 {
		err = flush()
	}
	if why != "" || err != nil {
		return 0, why, err
	}
	return read.From, "", unshaken(ctx, func() error { return p.cfg.Staging.FillHolds(ctx, p.id, read.Held) })
}

// kept returns what the log has of the partition.
func (p *part) kept(ctx context.Context) (stream.Offsets, error) {
	log, err := stream.NewReader(stream.ReaderConfig{Config: p.cfg.Kafka, Topic: p.cfg.Events})
	if err != nil {
		return stream.Offsets{}, err
	}
	defer log.Close()
	all, err := log.Offsets(ctx, p.id)
	return all[p.id], err
}
