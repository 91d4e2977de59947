package doctor

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/kelisim/kelisim/internal/cache"
)

// ofRedis makes a check of one that looks at each server.
func ofRedis(look func(n cache.Node) []Finding) func(ctx context.Context, e *Env) ([]Finding, error) {
	return func(ctx context.Context, e *Env) ([]Finding, error) {
		nodes, err := e.redis(ctx)
		if err != nil {
			return nil, err
		}
		var out []Finding
		for _, n := range nodes {
			for _, f := range look(n) {
				f.Object = "redis " + n.Addr
				out = append(out, f)
			}
		}
		return out, nil
	}
}

// untold is the finding of what a server does not say.
func untold(what string) []Finding {
	return []Finding{{
		Severity: Unknown, Found: "does not say " + what,
		Fix: "let this command's user run CONFIG GET and INFO, or look it up where the Redis is managed",
	}}
}

func setLike(name, value string) string {
	return fmt.Sprintf("CONFIG SET %s %s, and in redis.conf (deploy/redis.conf says why)", name, value)
}

// safePolicy is the only maxmemory-policy under which Redis never deletes.
const safePolicy = "noeviction"

// redisEviction finds a Redis that deletes when its memory is full.
func redisEviction(n cache.Node) []Finding {
	policy := n.Settings["maxmemory-policy"]
	if policy == "" {
		policy = n.Info["maxmemory_policy"]
	}
	var out []Finding
	switch policy {
	case "":
		return untold("which maxmemory-policy it has")
	case safePolicy:
	default:
		out = append(out, Finding{
			Severity: Critical, Found: "maxmemory-policy is " + policy + ": it may delete states and stops that wait to be acted on",
			Fix: setLike("maxmemory-policy", safePolicy),
		})
	}
	if evicted, _ := strconv.ParseInt(n.Info["evicted_keys"], 10, 64); evicted > 0 {
		out = append(out, Finding{
			Severity: Critical, Found: fmt.Sprintf("has evicted %d keys since it started", evicted),
			Fix: setLike("maxmemory-policy", safePolicy) + "; then find and heal what is gone: consentctl verify, consentctl rebuild",
		})
	}
	return out
}

// headroom is the part of its memory that a Redis should have left: a rewrite of
// the append-only file copies what is written meanwhile.
const headroom = 0.2

// redisMemory finds a Redis that will soon refuse to write.
func redisMemory(n cache.Node) []Finding {
	used, err1 := strconv.ParseInt(n.Info["used_memory"], 10, 64)
	limit, err2 := strconv.ParseInt(n.Info["maxmemory"], 10, 64)
	if err1 != nil || err2 != nil {
		return untold("how much memory it uses")
	}
	system, _ := strconv.ParseInt(n.Info["total_system_memory"], 10, 64)
	fix := "give it more memory, or add masters (a partition is one slot)"
	what := "maxmemory"
	if limit == 0 { // none: the system's memory is the limit, and the kernel enforces it
		limit, what, fix = system, "the system's memory, as maxmemory is not set", "set maxmemory, so that it refuses writes before the kernel ends it"
	}
	if limit == 0 || float64(used) < (1-headroom)*float64(limit) {
		return nil
	}
	return []Finding{{
		Severity: Warning, Found: fmt.Sprintf("uses %d MB, %d %% of %s: when it is full, services wait and guards deny", used>>20, 100*used/limit, what), Fix: fix,
	}}
}

// compact are the settings that keep buckets small, and the least they need
// (internal/cache): larger ones cost several times the memory, never correctness.
var compact = []struct {
	name  string
	least int
}{{"hash-max-listpack-entries", 128}, {"hash-max-listpack-value", 256}}

// redisCompact finds a Redis that will need several times the memory.
func redisCompact(n cache.Node) []Finding {
	var out []Finding
	for _, want := range compact {
		is, err := strconv.Atoi(n.Settings[want.name])
		switch {
		case err != nil:
			out = append(out, untold("which "+want.name+" it has")...)
		case is < want.least:
			out = append(out, Finding{
				Severity: Warning, Found: fmt.Sprintf("%s is %d: states leave their compact form and take several times the memory", want.name, is),
				Fix: setLike(want.name, "512"),
			})
		}
	}
	return out
}

// redisPersistence finds a Redis that comes back empty, or that cannot write its
// file. What it lost is folded again, but guards deny meanwhile.
func redisPersistence(n cache.Node) []Finding {
	var out []Finding
	switch n.Settings["appendonly"] {
	case "yes":
	case "":
		return untold("whether it keeps an append-only file")
	default:
		out = append(out, Finding{
			Severity: Warning, Found: "keeps no append-only file: after a restart every service folds the whole log again, and guards deny until then",
			Fix: setLike("appendonly", "yes"),
		})
	}
	for _, status := range []string{"aof_last_write_status", "aof_last_bgrewrite_status"} {
		if s := n.Info[status]; s != "" && s != "ok" {
			out = append(out, Finding{
				Severity: Critical, Found: status + " is " + s + ": it refuses writes, or will lose them", Fix: "give its disk room, then BGREWRITEAOF",
			})
		}
	}
	return out
}

// redisAccess finds a Redis that serves anybody on the network: whoever writes to it
// can allow. One that listens to its own host alone is left in peace.
func redisAccess(n cache.Node) []Finding {
	host, _, _ := net.SplitHostPort(n.Addr)
	if at := net.ParseIP(host); !n.Open || host == "localhost" || at != nil && at.IsLoopback() {
		return nil
	}
	return []Finding{{
		Severity: Critical, Found: "serves whoever connects: who can write to it can allow anything",
		Fix: "give every user a password and its keys (docs/cache.md, Who may do what), and close the default user: ACL SETUSER default off",
	}}
}

// oldestRedis is the oldest that the scripts run on.
const oldestRedis = 7

// redisVersion finds a Redis that is too old.
func redisVersion(n cache.Node) []Finding {
	version := n.Info["redis_version"]
	major, _, _ := strings.Cut(version, ".")
	number, err := strconv.Atoi(major)
	switch {
	case err != nil:
		return untold("which version it is")
	case number < oldestRedis:
		return []Finding{{
			Severity: Critical, Found: fmt.Sprintf("is version %s, and the scripts need %d.0", version, oldestRedis), Fix: "update it",
		}}
	}
	return nil
}
