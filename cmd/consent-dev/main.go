// Command consent-dev is Kelisim in one process, for a newcomer: a Kafka and a
// Redis that need no installation, the three services, a thousand synthetic
// people whose decisions never stop, and every few seconds the story of one
// withdrawal, measured from its acknowledgement to the last stopped use.
//
//	go run ./cmd/consent-dev
//	go run ./cmd/consent-dev --once
//
// It is for development, not for production: nothing here is replicated, and
// nothing is authenticated. --kafka and --redis point it at real servers.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9/logging"
	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/internal/daemon"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from the first signal on, the next one kills
	logging.Disable()            // go-redis': what it would say comes back as errors, which are told once
	if err := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "consent-dev:", err)
		os.Exit(1)
	}
}

// run is main without the process. It returns when ctx ends, or with --once when
// the story is told, and everything has stopped.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	daemon.TuneCollector()
	var o options
	c := &cobra.Command{
		Use:           "consent-dev",
		Short:         "Run all of Kelisim in one process, for development",
		Version:       daemon.Version(),
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	o.addFlags(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := o.validate(); err != nil {
			return err
		}
		return develop(c.Context(), o, newPage(stdout, environ), stderr)
	}
	c.SetArgs(args)
	c.SetOut(stdout)
	c.SetErr(stderr)
	return c.ExecuteContext(ctx)
}

// develop starts the servers, runs everything on them, and stops them last.
func develop(ctx context.Context, o options, p *page, stderr io.Writer) error {
	s, err := startServers(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	e, err := newEnvironment(ctx, o, s, p, stderr)
	if err != nil {
		return err
	}
	return errors.Join(e.run(ctx), p.err)
}
