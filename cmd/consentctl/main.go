// Command consentctl is for people who look after Kelisim.
//
//	consentctl policy lint    POLICY.yaml...
//	consentctl policy diff    OLD.yaml NEW.yaml --brokers kafka:9092
//	consentctl policy publish POLICY.yaml --brokers kafka:9092 --apply
//
// What would change something shows its plan, and acts with --apply. Results go
// to standard output, as text or with -o json; everything else to standard error.
// It exits with 0 when all is well, 1 when it failed, 2 when it was called
// wrongly and 3 when it found what it was to look for.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// The exit codes.
const (
	exitOK       = 0
	exitFailed   = 1
	exitUsage    = 2
	exitFindings = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from the first signal on, the next one kills
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run is main without the process.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	p := &program{environ: environ}
	root := newRoot(p)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errFindings): // they are in the result
		return exitFindings
	}
	fmt.Fprintln(stderr, "consentctl:", err)
	if !p.begun || errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}
