package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/lag"
	"github.com/kelisim/kelisim/internal/oncall/output"
)

// clearScreen moves to the top and erases what is below (ECMA-48: CUP, ED).
const clearScreen = "\x1b[H\x1b[J"

func newLag(p *program) *cobra.Command {
	var services []string
	var watch bool
	var pause time.Duration
	c := &cobra.Command{
		Use: "lag", Short: "Say how far each service is behind the log, in records and seconds", Args: cobra.NoArgs,
		Long: "Say how far each service is behind the log, by partition: in records, in seconds (the age of the oldest event that it has\n" +
			"not applied), and what is the matter. It looks twice. Exits with 3 when a partition is not well, or a service has no cache:\n\n" +
			"  idle, current, catching   well: nothing came, nothing is missing, it moves\n" +
			"  late                      behind and moving, and too far for the guards: they deny\n" +
			"  stuck                     behind, and not moving\n" +
			"  stale                     nothing is missing, but no consumer proves it: guards deny\n" +
			"  never                     nothing was ever applied, or the cache was lost: guards deny\n" +
			"  lost                      what comes next is no longer in the log",
	}
	c.Flags().StringSliceVar(&services, "service", nil, "only these services")
	c.Flags().BoolVar(&watch, "watch", false, "look again and again, until interrupted")
	c.Flags().DurationVar(&pause, "every", time.Second, "between two looks")
	return p.reading(c, func(ctx context.Context, s *session, _ []string) (output.Result, error) {
		if pause < 0 {
			return nil, exit.Misused("--every: %s is below 0", pause)
		}
		missing, fault := s.missing(ctx, services)
		if fault != nil {
			return nil, fault
		}
		for watch {
			r, err := lag.Look(ctx, s.Cluster, services, pause)
			switch {
			case ctx.Err() != nil:
				return nil, nil // whoever watches ends it so
			case r == nil:
				return nil, err
			}
			r.Missing = missing
			if err := s.refresh(r); err != nil {
				return nil, err
			}
		}
		r, err := lag.Look(ctx, s.Cluster, services, pause)
		if r == nil {
			return nil, err
		}
		r.Missing = missing
		return r, found(missing, err)
	})
}

// refresh prints one of a row of results, in the place of the one before on a
// terminal.
func (s *session) refresh(r output.Result) error {
	if output.Format(s.program.format) == output.Table && daemon.IsTerminal(s.OutOrStdout()) {
		fmt.Fprint(s.OutOrStdout(), clearScreen)
	}
	return s.emit(r)
}
