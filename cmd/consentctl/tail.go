package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/events/cekafka/cesql"
	"github.com/kelisim/kelisim/internal/oncall/audit"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/moment"
	"github.com/kelisim/kelisim/internal/oncall/output"
	"github.com/kelisim/kelisim/internal/oncall/tail"
)

func newTail(p *program) *cobra.Command {
	var cfg tail.Config
	var filter string
	var since moment.Flag
	var who actFlags
	c := &cobra.Command{
		Use: "tail", Short: "Show events as they come, subjects masked", Args: cobra.NoArgs,
		Long: "Show events as they come, until interrupted. --filter takes an expression in CloudEvents SQL over the attributes:\n\n" +
			"  consentctl tail --filter \"type = 'io.kelisim.consent.withdrawn.v1' AND purposes LIKE '%promotion%'\"\n\n" +
			"Subjects are masked. --reveal says whom each event is about; it wants a --reason and is recorded.",
	}
	flags := c.Flags()
	flags.StringVar(&filter, "filter", "", "only events that this CESQL expression is true of")
	flags.Var(&since, "since", "begin at this time, or so long ago, as in 10m; otherwise now")
	flags.IntVar(&cfg.Limit, "limit", 0, "stop after so many; 0 is never")
	flags.BoolVar(&cfg.Reveal, "reveal", false, "say whom each event is about; wants --reason, and is recorded")
	who.addWho(c)
	return p.reading(c, func(ctx context.Context, s *session, _ []string) (output.Result, error) {
		cfg.Since = since.Time
		var err error
		if filter != "" {
			if cfg.Filter, err = cesql.Parse(filter); err != nil {
				return nil, &exit.UsageError{Err: fmt.Errorf("--filter: %w", err)}
			}
		}
		follow := func(ctx context.Context) (string, error) {
			shown := 0
			err := tail.Follow(ctx, s.Cluster, cfg, func(e tail.Event) error {
				shown++
				return s.emit(e)
			})
			if errors.Is(err, context.Canceled) && ctx.Err() != nil {
				err = nil // it ends so
			}
			return fmt.Sprintf("%d events shown", shown), err
		}
		if !cfg.Reveal {
			_, err = follow(ctx)
			return nil, err
		}
		recorder, err := s.recorder(&who)
		if err != nil {
			return nil, err
		}
		return nil, recorder.Do(ctx, audit.Act{Command: "tail --reveal", Plan: revealed{since.String(), cfg.Limit}}, follow)
	})
}

// revealed is what a look at subjects was to show. The filter is left out: it may
// name one.
type revealed struct {
	Since string `json:"since"`
	Limit int    `json:"limit"`
}
