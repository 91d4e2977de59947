package process

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// removeWhenAlone waits until nobody holds the other end of its standard input, then removes the directory. It tries
// again, because a child that was just killed may still be writing.
const removeWhenAlone = `cat >/dev/null; for i in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$0" && exit; sleep 0.5; done`

// base is the directory that all servers of this process share. It belongs to the process and to nothing smaller, so it
// is kept in a variable.
var base = sync.OnceValues(newBase)

// watched is a directory that goes with this process.
type watched struct {
	dir   string
	alive io.WriteCloser // the reaper's standard input: it must not be collected, for its end is ours
}

// Dir returns a new directory for a server of this process. It is removed when this process ends, also when it is killed.
func Dir(name string) (string, error) {
	parent, err := base()
	if err != nil {
		return "", err
	}
	return os.MkdirTemp(parent.dir, name+"-")
}

func newBase() (*watched, error) {
	dir, err := os.MkdirTemp("", "kelisim-test-")
	if err != nil {
		return nil, err
	}
	reaper := exec.Command("sh", "-c", removeWhenAlone, dir)
	reaper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a signal to the terminal's group must not reach it
	alive, err := reaper.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("watch over %s: %w", dir, err)
	}
	if err := reaper.Start(); err != nil {
		return nil, fmt.Errorf("watch over %s: %w", dir, err)
	}
	return &watched{dir: dir, alive: alive}, nil
}
