package embedded

import (
	"fmt"
	"path"
	"sort"
	"strings"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// Redis is a running in-process Redis. It keeps its data in memory for as long as it runs.
type Redis struct {
	mini *miniredis.Miniredis
}

// StartRedis starts an in-process Redis on addr (host:port; empty means 127.0.0.1:0, a free port). Keys expire by the
// real clock. CONFIG GET, which miniredis lacks, answers the few settings that a client checks before it trusts a Redis
// with consent: the eviction policy above all. The caller must Close it.
func StartRedis(addr string) (*Redis, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	mini := miniredis.NewMiniRedis()
	mini.ClockTTL(true)
	if err := mini.StartAddr(addr); err != nil {
		return nil, fmt.Errorf("embedded redis on %s: %w", addr, err)
	}
	if err := mini.Server().Register("CONFIG", configGet, server.ReadOnlyOption()); err != nil {
		mini.Close()
		return nil, fmt.Errorf("embedded redis on %s: %w", addr, err)
	}
	return &Redis{mini: mini}, nil
}

// Addr returns the host:port that the server listens on.
func (r *Redis) Addr() string { return r.mini.Addr() }

// Miniredis gives access to miniredis itself: SetError, FastForward, direct reads.
func (r *Redis) Miniredis() *miniredis.Miniredis { return r.mini }

// Close stops the server and drops its data.
func (r *Redis) Close() { r.mini.Close() }

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
