// Command consentctl is for people who look after Kelisim.
//
//	consentctl policy lint    POLICY.yaml...
//	consentctl policy diff    OLD.yaml NEW.yaml --brokers kafka:9092
//	consentctl policy publish POLICY.yaml --context prod --apply --confirm prod --reason "clause 2.2"
//	consentctl audit list     --context prod
//
// What would change something shows its plan, and acts with --apply. Results go
// to standard output, in the form that --output names; everything else to
// standard error. docs/operations.md lists the commands and the exit codes.
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
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from the first signal on, the next one kills
	logging.Disable()            // go-redis': what it would say comes back as errors
	daemon.TuneCollector()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// run is main without the process.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{environ: environ}
	root := newRoot(p)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err != nil && !p.begun {
		err = &exit.UsageError{Err: err}
	}
	code := exit.Code(err)
	if code == exit.Interrupted && ctx.Err() == nil {
		code = exit.Failed // no signal: something else was cancelled
	}
	if err != nil && code != exit.Findings { // which are in the result
		fmt.Fprintln(stderr, "consentctl:", err)
	}
	return code
}
