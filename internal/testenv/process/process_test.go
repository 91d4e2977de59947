package process_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/testenv/process"
)

// patience bounds the waits for the kernel and the reaper.
const patience = 20 * time.Second

// TestMain turns the test binary into a parent with a server when it is told to: the tests below kill it.
func TestMain(m *testing.M) {
	if os.Getenv("KELISIM_PARENT") != "" {
		parent()
	}
	os.Exit(m.Run())
}

// parent starts a child, says where it is, and waits to be killed.
func parent() {
	dir, err := process.Dir("server")
	if err == nil {
		_, err = process.Start(filepath.Join(dir, "log"), "sh", "-c", `echo $$ >"$0/pid"; exec sleep 1000`, dir)
	}
	fmt.Println(dir, err)
	select {}
}

func TestNothingOutlivesAKilledParent(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "KELISIM_PARENT=1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	dir, found := strings.CutSuffix(strings.TrimSpace(line), " <nil>")
	require.True(t, found, line)
	var child int
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(filepath.Join(dir, "pid"))
		child, err = strconv.Atoi(strings.TrimSpace(string(text)))
		return err == nil
	}, patience, time.Millisecond)

	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.Eventually(t, func() bool { return gone(child) }, patience, time.Millisecond, "the child lives on")
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Dir(dir))
		return os.IsNotExist(err)
	}, patience, time.Millisecond, "the directory stays")
}

func TestStopAsksAndKillInsists(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	polite, err := process.Start(log, "sh", "-c", `trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.01; done`)
	require.NoError(t, err)
	await(t, polite, "ready")
	require.NoError(t, polite.Stop())
	require.Contains(t, string(polite.LogTail()), "asked")
	require.ErrorIs(t, polite.Stop(), process.ErrStopped)

	deaf, err := process.Start(log, "sh", "-c", `trap '' TERM; echo deaf; while :; do sleep 0.01; done`)
	require.NoError(t, err)
	await(t, deaf, "deaf")
	require.NoError(t, deaf.Kill())
	require.ErrorContains(t, deaf.Ended(), "killed")
}

func TestEndOfAChildIsExplainedByItsOutput(t *testing.T) {
	p, err := process.Start(filepath.Join(t.TempDir(), "log"), "sh", "-c", "echo bad configuration >&2; exit 3")
	require.NoError(t, err)
	<-p.Done()
	require.ErrorContains(t, p.Ended(), "exit status 3")
	require.ErrorContains(t, p.Ended(), "bad configuration")

	_, err = process.Start(filepath.Join(t.TempDir(), "log"), "no-such-program")
	require.ErrorContains(t, err, "start no-such-program")
}

func TestFreePortsDiffer(t *testing.T) {
	ports, err := process.FreePorts(50)
	require.NoError(t, err)
	seen := make(map[int]bool)
	for _, port := range ports {
		require.False(t, seen[port])
		seen[port] = true
	}
}

func await(t *testing.T, p *process.Process, output string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(string(p.LogTail()), output) }, patience, time.Millisecond)
}

// gone reports whether a process is dead; one that its new parent has not waited for yet counts as dead.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}
