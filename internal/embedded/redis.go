package embedded

import (
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// expireEvery is how often keys with a time to live are looked at. miniredis can do it before every command (ClockTTL),
// but then sorts all keys each time: with some thousand of them that was three quarters of all its work. Even ten times a
// second it held every answer up for some milliseconds, so it is only done once a key was given a time to live.
const expireEvery = 100 * time.Millisecond

// limitsLife says whether a command, of those that miniredis has, gives a key a time to live.
func limitsLife(command string, args []string) bool {
	switch command {
	case "SET", "GETEX":
		return slices.ContainsFunc(args[min(1, len(args)):], func(arg string) bool {
			return slices.Contains([]string{"EX", "PX", "EXAT", "PXAT"}, strings.ToUpper(arg))
		})
	case "SETEX", "PSETEX", "EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT", "HEXPIRE":
		return true
	}
	return false
}

// Redis is a running in-process Redis. It keeps its data in memory for as long as it runs.
type Redis struct {
	mini   *miniredis.Miniredis
	mortal atomic.Bool // a key was given a time to live
	close  func()
}

// StartRedis starts an in-process Redis on addr (host:port; empty means 127.0.0.1:0, a free port). Keys expire by the
// real clock, to a tenth of a second; scripts share one interpreter. CONFIG GET, which miniredis lacks, answers the few
// settings that a client checks before it trusts a Redis with consent: the eviction policy above all. The caller must
// Close it.
func StartRedis(addr string) (*Redis, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	mini := miniredis.NewMiniRedis()
	if err := mini.StartAddr(addr); err != nil {
		return nil, fmt.Errorf("embedded redis on %s: %w", addr, err)
	}
	if err := mini.Server().Register("CONFIG", configGet, server.ReadOnlyOption()); err != nil {
		mini.Close()
		return nil, fmt.Errorf("embedded redis on %s: %w", addr, err)
	}
	scripts, err := newScripts(mini)
	if err != nil {
		mini.Close()
		return nil, fmt.Errorf("embedded redis on %s: %w", addr, err)
	}
	r := &Redis{mini: mini}
	mini.Server().SetPreHook(func(peer *server.Peer, command string, args ...string) (done bool) {
		if limitsLife(command, args) {
			r.mortal.Store(true)
		}
		return scripts.hook(peer, command, args...)
	})
	r.close = r.expire()
	return r, nil
}

// expire lets time pass for the keys, and returns how to end that.
func (r *Redis) expire() (end func()) {
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(expireEvery)
		defer tick.Stop()
		for last := time.Now(); ; {
			select {
			case <-tick.C:
				now := time.Now()
				if r.mortal.Load() {
					r.mini.FastForward(now.Sub(last))
				}
				last = now
			case <-stop:
				return
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(stop)
		<-ended
	})
}

// Addr returns the host:port that the server listens on.
func (r *Redis) Addr() string { return r.mini.Addr() }

// Close stops the server and drops its data.
func (r *Redis) Close() {
	r.close()
	r.mini.Close()
}

// configGet answers CONFIG GET pattern [pattern ...] and refuses every other CONFIG command.
func configGet(c *server.Peer, _ string, args []string) {
	if len(args) < 2 || !strings.EqualFold(args[0], "GET") {
		c.WriteError("ERR embedded redis: only CONFIG GET is there")
		return
	}
	settings := map[string]string{
		"appendonly":       "no",
		"maxmemory":        "0",
		"maxmemory-policy": "noeviction",
		"save":             "",
	}
	var names []string
	for name := range settings {
		for _, pattern := range args[1:] {
			if ok, err := path.Match(strings.ToLower(pattern), name); err == nil && ok {
				names = append(names, name)
				break
			}
		}
	}
	sort.Strings(names)
	c.WriteMapLen(len(names))
	for _, name := range names {
		c.WriteBulk(name)
		c.WriteBulk(settings[name])
	}
}
