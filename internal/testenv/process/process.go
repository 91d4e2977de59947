// Package process runs servers as children of a test process so that none outlives it.
//
// A child is killed by the kernel when its parent dies, however it dies, and the directory that all servers of one
// process share is removed by a small shell that waits for the end of its standard input. Linux only.
//
// The callers are realkafka, realredis and the launcher withkafka.
package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// stopPatience is how long a child may take to end after SIGTERM; then it is killed. A Kafka node that hands over its
// leaderships on a busy machine takes a few seconds.
const stopPatience = 20 * time.Second

// logTailBytes is how much of a server's output an error quotes.
const logTailBytes = 4 << 10

// ErrStopped says that a server was asked to stop and has stopped already.
var ErrStopped = errors.New("already stopped")

// Process is a running child.
type Process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error // how it ended; readable once done is closed
}

// Start runs a command whose output goes to the file log, at its end. The child leads a process group of its own, so a
// Ctrl-C at the terminal reaches the parent alone, which then decides.
func Start(log string, name string, args ...string) (*Process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer out.Close()
	p := &Process{name: name, cmd: exec.Command(name, args...), log: log, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// run starts the child and waits for it on one locked thread: the kernel sends the parent-death signal when the thread
// that forked ends, not the process, and Go ends idle threads as it likes.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Stop asks the child to end, and kills it when it takes too long.
func (p *Process) Stop() error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(stopPatience):
		return p.Kill()
	}
}

// Kill ends the child at once and returns when it is gone.
func (p *Process) Kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// Pause stops the child in its tracks, as a stalled machine would; its connections stay open. Resume lets it go on.
func (p *Process) Pause() error { return p.signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (p *Process) Resume() error { return p.signal(syscall.SIGCONT) }

// Ended describes how the child ended, with the end of its output.
func (p *Process) Ended() error {
	return fmt.Errorf("%s ended: %w\n%s", p.name, p.err, p.LogTail())
}

// LogTail returns the end of the child's output, for error messages.
func (p *Process) LogTail() []byte {
	f, err := os.Open(p.log)
	if err != nil {
		return []byte(err.Error())
	}
	defer f.Close()
	if _, err := f.Seek(-logTailBytes, io.SeekEnd); err != nil {
		_, _ = f.Seek(0, io.SeekStart) // shorter than that
	}
	tail, _ := io.ReadAll(f)
	return bytes.TrimSpace(tail)
}

func (p *Process) signal(s syscall.Signal) error {
	select {
	case <-p.done:
		return fmt.Errorf("%s: %w", p.name, ErrStopped)
	default:
	}
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s %s: %w", s, p.name, err)
	}
	return nil
}
