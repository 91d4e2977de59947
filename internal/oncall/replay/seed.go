package replay

import (
	"context"
	"math"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/basis"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// seed begins the history with the snapshots, and refuses where these are not to be
// believed: nobody's whole history is in a log that begins at first, and a fold of
// the rest is nobody's state.
func (h *history) seed(ctx context.Context, first int64) error {
	b, why := h.bench, "no topic of snapshots is named"
	if b.State != "" {
		var err error
		if why, err = h.believe(ctx); err != nil {
			return err
		}
	}
	if why != "" {
		return exit.Refuse("partition %d: the log begins at %d, so no history is whole, and snapshots cannot stand in: %s", h.partition, first, why)
	}
	return nil
}

func (h *history) believe(ctx context.Context) (why string, err error) {
	b, layout := h.bench, h.bench.layout()
	from := &basis.Sources{
		State: func() (*stream.Reader, error) { return b.Log.Reader(b.State) },
		Log:   func() (*stream.Reader, error) { return b.Log.Reader(b.Topic) },
		Rules: b.Rules, Layout: layout, Services: b.Witnesses, Limit: math.MaxInt, Patience: b.Patience,
	}
	if _, why, err = basis.Witness(ctx, from, h.partition); why != "" || err != nil {
		return why, err
	}
	state, err := b.Log.Reader(b.State)
	if err != nil {
		return "", err
	}
	defer state.Close()
	wanted := func(s events.Subject) bool { return h.wanted([]byte(s.Reveal())) }
	read, why, err := basis.Seed(ctx, state, h.fold, layout.Generation, h.reader.Offsets, wanted)
	if why == "" && err == nil {
		h.basis, h.at = &read, read.From
	}
	return why, err
}
