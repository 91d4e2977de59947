// Command withkafka starts an Apache Kafka, runs a command with KELISIM_TEST_KAFKA set to its address, and stops the
// Kafka again, whatever happens to the command or to itself:
//
//	go run ./internal/testenv/withkafka -- go test -tags real ./...
//
// Its exit status is that of the command. make test-real calls it, so that all test packages share one Kafka.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/kelisim/kelisim/internal/testenv/realkafka"
)

const (
	statusUsage  = 2   // wrong arguments, as flag has it
	statusFailed = 125 // the command was never run, as env and docker have it
	statusSignal = 128 // plus the signal that ended the command, as shells have it
)

func main() {
	// The command is killed with the thread that started it (Pdeathsig): that must be this one, which lives longest.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(stderr, "usage: withkafka -- COMMAND [ARGUMENT...]")
		return statusUsage
	}
	cluster, err := realkafka.Start(ctx, realkafka.Config{})
	if err != nil {
		fmt.Fprintln(stderr, "withkafka:", err)
		return statusFailed
	}
	defer cluster.Close()
	fmt.Fprintln(stderr, "withkafka: Apache Kafka 4.3.1 on", cluster.Addrs()[0])

	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Env = append(os.Environ(), "KELISIM_TEST_KAFKA="+cluster.Addrs()[0])
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return status(cmd.Run(), stderr)
}

// status turns the end of the command into our exit status.
func status(err error, stderr io.Writer) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return statusSignal + int(ws.Signal())
		}
		return exit.ExitCode()
	default:
		fmt.Fprintln(stderr, "withkafka:", err)
		return statusFailed
	}
}
