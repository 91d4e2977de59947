// Command consentd runs one of Kelisim's services: it follows the log of consent
// events, keeps the service's cache in Redis, and stops what must stop.
//
//	consentd marketing --config /etc/kelisim/consentd.yaml
//	consentd config    --config /etc/kelisim/consentd.yaml
//
// docs/operations.md lists every setting and says what to do when something is
// wrong. SIGTERM and SIGINT end it in order; a second one ends it at once.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9/logging"

	"github.com/kelisim/kelisim/internal/daemon"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from the first signal on, the next one kills
	daemon.TuneCollector()
	logging.Disable() // go-redis': what it would say comes back as errors, which are logged once
	if err := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "consentd:", err)
		os.Exit(1)
	}
}

// run is main without the process: arguments, environment and outputs come in,
// the error goes out. It returns when ctx ends and everything has stopped.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	root := newRoot(environ)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return root.ExecuteContext(ctx)
}
