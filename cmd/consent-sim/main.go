// Command consent-sim prints how often each rule of order lets a grant re-open
// what a withdrawal closed, by fault, with the producer's measures off and on.
// docs/order-rule.md explains the table.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/simulation"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "consent-sim:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("consent-sim", flag.ContinueOnError)
	flags.SetOutput(stderr)
	histories := flags.Int("histories", 1_000_000, "histories in each row")
	seed := flags.Uint64("seed", 1, "the same seed gives the same table")
	workers := flags.Int("workers", runtime.GOMAXPROCS(0), "histories judged at the same time")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *histories < 1 || *workers < 1 {
		return errors.New("want at least one history and one worker")
	}
	rules := events.SeedRules()
	fmt.Fprintf(stdout, "%d histories a row, seed %d: ended allowed although the last decision was a withdrawal\n", *histories, *seed)
	for _, measures := range []bool{false, true} {
		title := "fault, without the producer's measures"
		if measures {
			title = "fault, with the producer's measures"
		}
		fmt.Fprintln(stdout)
		if err := simulation.WriteHead(stdout, title); err != nil {
			return err
		}
		for _, f := range simulation.Rows() {
			if measures {
				f = f.Measured()
			}
			row, err := simulation.Run(ctx, rules, f, *histories, *seed, *workers)
			if err != nil {
				return err
			}
			if err := simulation.WriteRow(stdout, row); err != nil {
				return err
			}
		}
	}
	return nil
}
