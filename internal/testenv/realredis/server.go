// Package realredis runs Debian's redis-server for tests: with the settings of deploy/redis.conf, but on a free loopback
// port and with nothing kept on disk.
//
// It leaves the lifetime of the child process to package process. Its caller is internal/testenv.
package realredis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/internal/testenv/process"
)

// startTimeout bounds a start. A Redis is up in 20 ms on an idle machine.
const startTimeout = 20 * time.Second

// startPoll is how often a starting server is asked.
const startPoll = 2 * time.Millisecond

// Server is a redis-server process on a fixed port.
type Server struct {
	dir      string
	port     int
	settings map[string]string
	process  *process.Process // nil while stopped
}

// New prepares a server. The settings are added to those of deploy/redis.conf and win over them.
func New(settings map[string]string) (*Server, error) {
	dir, err := process.Dir("redis")
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	ports, err := process.FreePorts(1)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	s := &Server{dir: dir, port: ports[0], settings: maps.Clone(settings)}
	return s, os.WriteFile(s.config(), deploy.RedisConf(), 0o600)
}

// Addr returns the server's host:port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Start starts the server and returns when it answers. Unless the settings say otherwise it is empty.
func (s *Server) Start(ctx context.Context) error {
	settings := map[string]string{
		"bind": "127.0.0.1", "port": strconv.Itoa(s.port), "dir": s.dir,
		"appendonly": "no", "loglevel": "warning", "daemonize": "no",
	}
	maps.Copy(settings, s.settings)
	args := []string{"LC_ALL=C", "redis-server", s.config()} // the locale in which Lua compares bytes
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "--"+key)
		args = append(args, strings.Fields(settings[key])...)
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		return fmt.Errorf("real Redis (Debian: apt-get install redis-server): %w", err)
	}
	p, err := process.Start(filepath.Join(s.dir, "server.log"), "env", args...)
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	s.process = p
	return s.awaitAnswer(ctx)
}

func (s *Server) awaitAnswer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := s.ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.process.Done():
			return s.process.Ended()
		case <-ctx.Done():
			return fmt.Errorf("redis does not answer: %w\n%s", err, s.process.LogTail())
		case <-time.After(startPoll):
		}
	}
}

// ping asks without go-redis, which would log every attempt.
func (s *Server) ping(ctx context.Context) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", s.Addr())
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if answer != "+PONG\r\n" {
		return errors.New(strings.TrimSpace(answer)) // such as LOADING
	}
	return nil
}

// Client returns a new client without retries. The caller closes it.
func (s *Server) Client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1, DialerRetries: 1, DisableIdentity: true})
}

// Stop kills the server. What it kept on disk, if its settings make it keep anything, stays for the next Start.
func (s *Server) Stop() error {
	if s.process == nil {
		return nil
	}
	err := s.process.Kill()
	s.process = nil
	if errors.Is(err, process.ErrStopped) {
		return nil
	}
	return err
}

// Pause stops the server in its tracks until Resume; its connections stay open.
func (s *Server) Pause() error { return s.process.Pause() }

// Resume ends a Pause.
func (s *Server) Resume() error { return s.process.Resume() }

// Close stops the server and removes its directory.
func (s *Server) Close() error {
	return errors.Join(s.Stop(), os.RemoveAll(s.dir))
}

func (s *Server) config() string { return filepath.Join(s.dir, "redis.conf") }
