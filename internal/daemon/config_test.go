package daemon

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/daemon/settings"
)

func good() Config {
	c := Defaults()
	c.Kafka.Brokers = []string{"kafka-1:9092", "[::1]:9092"}
	c.Redis.Addrs = []string{"redis:6379"}
	return c
}

func TestDefaultsNameNeitherKafkaNorRedis(t *testing.T) {
	err := Defaults().Validate()
	require.ErrorContains(t, err, "kafka.brokers: not set")
	require.ErrorContains(t, err, "redis.addrs: not set")
	require.NoError(t, good().Validate())
}

func TestValidateNamesEveryFaultAtOnce(t *testing.T) {
	c := good()
	c.Kafka.Brokers = []string{"kafka-1", "kafka-2:9092"}
	c.Kafka.TLS.CAFile = "ca.pem"
	c.Redis.Mode = "clustered"
	c.Admin.Addr = "0.0.0.0:9464"
	c.Log.Level, c.Log.Format = "loud", "xml"
	c.Shutdown.Budget = 0
	err := c.Validate()
	for _, want := range []string{
		`kafka.brokers: "kafka-1" is not host:port`, "kafka.tls.enabled: false", `redis.mode: "clustered"`,
		"admin.addr: 0.0.0.0:9464 is open", "admin.allow_remote", `log.level: "loud"`, `log.format: "xml"`, "shutdown.budget: 0s",
	} {
		require.ErrorContains(t, err, want)
	}
}

func TestValidateRefuses(t *testing.T) {
	for _, c := range []struct {
		name, want string
		change     func(*Config)
	}{
		{"a user without a mechanism", "kafka.sasl.mechanism: not set", func(c *Config) { c.Kafka.SASL.Username = "u" }},
		{"an unknown mechanism", `kafka.sasl.mechanism: "GSSAPI"`, func(c *Config) { c.Kafka.SASL = SASL{Mechanism: "GSSAPI", Username: "u", Password: "p"} }},
		{"SASL without a password", "kafka.sasl: neither", func(c *Config) { c.Kafka.SASL = SASL{Mechanism: "PLAIN", Username: "u"} }},
		{"SASL without a user", "kafka.sasl.username: not set", func(c *Config) { c.Kafka.SASL = SASL{Mechanism: "PLAIN", PasswordFile: "f"} }},
		{"two passwords", "redis: both", func(c *Config) { c.Redis.Password, c.Redis.PasswordFile = "p", "f" }},
		{"a Redis user without a password", "redis: neither", func(c *Config) { c.Redis.Username = "u" }},
		{"a key without its certificate", "redis.tls: cert_file and key_file", func(c *Config) { c.Redis.TLS = TLS{Enabled: true, KeyFile: "k"} }},
		{"sentinel without a master", "redis.master_name", func(c *Config) { c.Redis.Mode = RedisSentinel }},
		{"a master without sentinel", "redis.master_name", func(c *Config) { c.Redis.MasterName = "m" }},
		{"two servers that are no cluster", "redis.addrs: more than one", func(c *Config) { c.Redis.Addrs = []string{"a:1", "b:1"} }},
		{"a sentinel's password without sentinels", "redis.sentinel", func(c *Config) { c.Redis.Sentinel.PasswordFile = "f" }},
		{"a database in a cluster", "redis.db: 3", func(c *Config) { c.Redis.Mode, c.Redis.DB = RedisCluster, 3 }},
		{"no topic", "topics.parked: not set", func(c *Config) { c.Topics.Parked = "" }},
		{"no generation", "topics.generation: -1", func(c *Config) { c.Topics.Generation = -1 }},
		{"no buckets", "cache.buckets: -1", func(c *Config) { c.Cache.Buckets = -1 }},
		{"an admin address without a port", "admin.addr", func(c *Config) { c.Admin.Addr = "127.0.0.1" }},
		{"a sweep that never comes", "policy.sweep", func(c *Config) { c.Policy.Sweep = 0 }},
		{"a key before none", "policy.previous_key_file", func(c *Config) { c.Policy.PreviousKeyFile = "f" }},
		{"a time of no subject", "policy.activity.time", func(c *Config) { c.Policy.Activity.Time = "value:ts" }},
		{"a budget nobody waits for", "shutdown.budget", func(c *Config) { c.Shutdown.Budget = maxBudget + 1 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			conf := good()
			c.change(&conf)
			require.ErrorContains(t, conf.Validate(), c.want)
		})
	}
}

func TestAdminAddressIsLoopbackUnlessSaidOtherwise(t *testing.T) {
	for addr, ok := range map[string]bool{
		"127.0.0.1:0": true, "127.8.9.1:1": true, "localhost:9464": true, "[::1]:9464": true, "[::ffff:127.0.0.1]:1": true,
		":9464": false, "0.0.0.0:9464": false, "[::]:9464": false, "10.0.0.1:9464": false, "admin.example:9464": false,
	} {
		if ok {
			require.NoError(t, checkAdminAddr(addr, false), addr)
		} else {
			require.ErrorContains(t, checkAdminAddr(addr, false), "admin.allow_remote", addr)
		}
		require.NoError(t, checkAdminAddr(addr, true), addr)
	}
}

func TestEverySettingHasItsFlagAndVariable(t *testing.T) {
	all, err := settings.List(Defaults())
	require.NoError(t, err)
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	settings.AddFlags(flags, all)
	require.NotNil(t, flags.Lookup("kafka-brokers"))
	require.NoError(t, flags.Parse([]string{"--redis-addrs", "r:6379"}))
	got, loaded, err := settings.Load(Defaults(), flags, []string{"KELISIM_KAFKA_BROKERS=k:9092"})
	require.NoError(t, err)
	require.NoError(t, got.Validate())
	require.Equal(t, "KELISIM_KAFKA_BROKERS", loaded.Origin("kafka.brokers"))
	require.Equal(t, "--redis-addrs", loaded.Origin("redis.addrs"))
}

// The table between these two lines of the page is written by the settings
// themselves; on a difference the test prints what belongs there.
const tableBegin, tableEnd = "<!-- settings -->\n", "<!-- /settings -->\n"

func TestOperationsPageListsEverySetting(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(page), tableBegin)
	require.True(t, ok)
	got, _, ok := strings.Cut(rest, tableEnd)
	require.True(t, ok)
	all, err := settings.List(Defaults())
	require.NoError(t, err)
	var want strings.Builder
	require.NoError(t, settings.Document(&want, all))
	require.Equal(t, want.String(), got, "docs/operations.md should hold:\n%s", want.String())
}
