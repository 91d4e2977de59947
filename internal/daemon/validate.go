package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"
)

// The values of redis.mode.
const (
	RedisSingle   = "single"
	RedisSentinel = "sentinel"
	RedisCluster  = "cluster"
)

// The values of log.format.
const (
	FormatAuto = "auto"
	FormatJSON = "json"
	FormatText = "text"
)

// maxBudget bounds shutdown.budget. A consumer that needs longer is not slow but
// stuck, and its group waits for it all the while.
const maxBudget = 5 * time.Minute

// Validate says everything that is wrong with the configuration, by key. It
// reads no file and opens no connection.
func (c Config) Validate() error {
	return errors.Join(
		c.ValidateLog(),
		c.ValidateCache(),
		atLeast("cache.buckets", c.Cache.Buckets, 0),
		atLeast("cache.memory", c.Cache.Memory, 1),
		c.Policy.validate(),
		c.Admin.validate(),
		between("shutdown.budget", c.Shutdown.Budget, time.Second, maxBudget),
	)
}

// ValidateLog says what is wrong for a program that needs nothing but Kafka.
func (c Config) ValidateLog() error {
	return errors.Join(
		c.Kafka.validate(),
		c.Topics.validate(),
		oneOf("log.format", c.Log.Format, FormatAuto, FormatJSON, FormatText),
		c.Log.validate(),
	)
}

// ValidateCache says what is wrong with the way to the cache.
func (c Config) ValidateCache() error { return c.Redis.validate() }

func (k Kafka) validate() error {
	return errors.Join(
		addresses("kafka.brokers", k.Brokers),
		between("kafka.dial_timeout", k.DialTimeout, 100*time.Millisecond, time.Minute),
		atLeast("kafka.unpacked_mb", k.UnpackedMB, 1),
		k.TLS.validate("kafka.tls"),
		k.SASL.validate(),
	)
}

func (t Topics) validate() error {
	faults := []error{atLeast("topics.generation", t.Generation, 0)}
	for key, name := range map[string]string{
		"topics.events": t.Events, "topics.policies": t.Policies, "topics.state": t.State, "topics.parked": t.Parked, "topics.receipts": t.Receipts,
		"topics.audit": t.Audit,
	} {
		if name == "" {
			faults = append(faults, fmt.Errorf("%s: not set", key))
		}
	}
	return errors.Join(faults...)
}

func (s SASL) validate() error {
	if s.Mechanism == "" {
		if s != (SASL{}) {
			return errors.New("kafka.sasl.mechanism: not set, but a user or a password is")
		}
		return nil
	}
	var missing error
	if s.Username == "" {
		missing = errors.New("kafka.sasl.username: not set")
	}
	return errors.Join(
		oneOf("kafka.sasl.mechanism", s.Mechanism, "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
		missing,
		onePassword("kafka.sasl", s.Password, s.PasswordFile, true),
	)
}

func (r Redis) validate() error {
	faults := []error{
		addresses("redis.addrs", r.Addrs),
		oneOf("redis.mode", r.Mode, RedisSingle, RedisSentinel, RedisCluster),
		r.TLS.validate("redis.tls"),
		onePassword("redis", r.Password, r.PasswordFile, r.Username != ""),
		onePassword("redis.sentinel", r.Sentinel.Password, r.Sentinel.PasswordFile, r.Sentinel.Username != ""),
	}
	if (r.Mode == RedisSentinel) != (r.MasterName != "") {
		faults = append(faults, errors.New("redis.master_name: wanted in mode sentinel, and only there"))
	}
	if r.Mode != RedisSentinel && r.Sentinel != (Sentinel{}) {
		faults = append(faults, errors.New("redis.sentinel: set, but redis.mode is another"))
	}
	if r.Mode == RedisSingle && len(r.Addrs) > 1 {
		faults = append(faults, errors.New("redis.addrs: more than one; set redis.mode to sentinel or cluster"))
	}
	if r.DB < 0 || r.Mode == RedisCluster && r.DB != 0 {
		faults = append(faults, fmt.Errorf("redis.db: %d is not a database of mode %s", r.DB, r.Mode))
	}
	return errors.Join(faults...)
}

func (t TLS) validate(key string) error {
	if !t.Enabled {
		if t != (TLS{}) {
			return fmt.Errorf("%s.enabled: false, but files or a server name are set", key)
		}
		return nil
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return fmt.Errorf("%s: cert_file and key_file go together", key)
	}
	return nil
}

// maxSweep bounds policy.sweep: what is due on a day is done on that day.
const maxSweep = 24 * time.Hour

func (p Policy) validate() error {
	faults := []error{between("policy.sweep", p.Sweep, time.Second, maxSweep)}
	if p.PreviousKeyFile != "" && p.KeyFile == "" {
		faults = append(faults, errors.New("policy.previous_key_file: set, but policy.key_file is not"))
	}
	if p.Activity.Time != "" && p.Activity.Subject == "" {
		faults = append(faults, errors.New("policy.activity.time: set, but policy.activity.subject is not: an activity event has its own"))
	}
	return errors.Join(faults...)
}

func (a Admin) validate() error { return checkAdminAddr(a.Addr, a.AllowRemote) }

// checkAdminAddr refuses an address that others than this host could reach.
func checkAdminAddr(addr string, allowRemote bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("admin.addr: %w", err)
	}
	if allowRemote || isLoopback(host) {
		return nil
	}
	return fmt.Errorf("admin.addr: %s is open to other hosts and has no authentication; say admin.allow_remote if that is meant", addr)
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

func (l Log) validate() error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return fmt.Errorf("log.level: %q is none of debug, info, warn, error", l.Level)
	}
	return nil
}

func addresses(key string, addrs []string) error {
	if len(addrs) == 0 {
		return fmt.Errorf("%s: not set", key)
	}
	var faults []error
	for _, a := range addrs {
		if host, port, err := net.SplitHostPort(a); err != nil || host == "" || port == "" {
			faults = append(faults, fmt.Errorf("%s: %q is not host:port", key, a))
		}
	}
	return errors.Join(faults...)
}

func oneOf(key, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s: %q is none of %q", key, value, allowed)
}

func atLeast(key string, value, least int) error {
	if value >= least {
		return nil
	}
	return fmt.Errorf("%s: %d is below %d", key, value, least)
}

func between(key string, value, least, most time.Duration) error {
	if value >= least && value <= most {
		return nil
	}
	return fmt.Errorf("%s: %s is not between %s and %s", key, value, least, most)
}

func onePassword(section, password, file string, needed bool) error {
	switch {
	case password != "" && file != "":
		return fmt.Errorf("%s: both password and password_file are set", section)
	case needed && password == "" && file == "":
		return fmt.Errorf("%s: neither password_file nor the variable of the password is set", section)
	}
	return nil
}
