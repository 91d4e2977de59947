// Package embedded runs a Kafka and a Redis inside this process, for development and tests.
//
// Kafka is franz-go's kfake, Redis is miniredis. Both speak the real protocols on real TCP ports, so any client may
// connect, and both start in milliseconds. Neither is the real thing: nothing is replicated, "acks from all replicas"
// proves no durability, compaction is gentler than Kafka's log cleaner, and Redis Cluster, memory limits and eviction
// do not exist. What must hold in production is tested on real servers too (internal/testenv, build tag real).
//
// kfake 20260918 does not know LogAppendTime: it accepts message.timestamp.type and ignores it. Since every event's
// position in time rests on the broker's append time, StartKafka adds it (appendtime.go): the produce response carries
// the append time, a fetched batch carries attribute bit 3 and its max timestamp, a repeated idempotent produce is
// answered with the first copy's append time, and the checksum is right. What it does not add: refusing a CreateTime
// more than an hour ahead, looking up offsets by append time (ListOffsets searches the producer's own times), and
// keeping the append time of a batch that kfake's compactor rewrites. Transactional ids fence (fencing.go), but there are
// no transactions.
//
// The callers are cmd/consent-dev and internal/testenv; no production binary may link this package
// (internal/importrule holds that).
package embedded

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kfake"
)

// minSessionTimeoutMillis is the shortest group session a client may ask for. Kafka's default of six seconds would make
// every test that kills a consumer wait that long; internal/testenv gives its real brokers the same setting.
const minSessionTimeoutMillis = "500"

// KafkaUser is one SASL account.
type KafkaUser struct {
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
	Mechanism string
	Name      string
	Password  string
}

// KafkaConfig says how the embedded Kafka listens and what it keeps. The zero value is one broker on a free loopback
// port that keeps its log in memory.
type KafkaConfig struct {
	// Addr is the host:port of the first broker; empty means 127.0.0.1:0. With a port, broker n listens on port+n;
	// with port 0 each broker takes a free port. The host is also what clients are told to connect to, so it cannot be
	// a wildcard such as 0.0.0.0.
	Addr string
	// DataDir keeps topics, records and group offsets across restarts; empty means memory only.
	DataDir string
	// Brokers is the number of brokers; 0 means one.
	Brokers int
	// TLS, when set, makes every listener speak TLS with this configuration.
	TLS *tls.Config
	// Users, when not empty, makes every connection authenticate as one of them.
	Users []KafkaUser
	// Options are passed on to kfake after all of the above.
	Options []kfake.Opt
}

// Kafka is a running in-process Kafka.
type Kafka struct {
	cluster *kfake.Cluster
	addrs   []string
}

// StartKafka starts an in-process Kafka. The caller must Close it.
func StartKafka(cfg KafkaConfig) (*Kafka, error) {
	opts, err := cfg.options()
	if err != nil {
		return nil, fmt.Errorf("embedded kafka: %w", err)
	}
	times := newAppendTimes()
	cluster, err := kfake.NewCluster(append(opts, kfake.ListenFn(cfg.listen(times)))...)
	if err != nil {
		return nil, fmt.Errorf("embedded kafka: %w", err)
	}
	times.install(cluster)
	(&fencing{epochs: make(map[string]int16)}).install(cluster)
	return &Kafka{cluster: cluster, addrs: cluster.ListenAddrs()}, nil
}

// Addrs returns the host:port of every broker, the bootstrap address first.
func (k *Kafka) Addrs() []string { return slices.Clone(k.addrs) }

// Cluster gives access to kfake itself: fault injection (Fault, ControlKey), leader moves, group inspection.
func (k *Kafka) Cluster() *kfake.Cluster { return k.cluster }

// Close stops all brokers and, with a DataDir, writes what is still in memory. It may be called more than once.
func (k *Kafka) Close() { k.cluster.Close() }

func (cfg KafkaConfig) options() ([]kfake.Opt, error) {
	_, port, err := net.SplitHostPort(cfg.addr())
	if err != nil {
		return nil, err
	}
	first, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port of %s: %w", cfg.addr(), err)
	}
	if cfg.Brokers < 0 {
		return nil, errors.New("a negative number of brokers")
	}
	ports := make([]int, max(cfg.Brokers, 1))
	for n := range ports {
		if first != 0 {
			ports[n] = int(first) + n
		}
	}
	opts := []kfake.Opt{
		kfake.Ports(ports...),
		kfake.ClusterID("kelisim-embedded"),
		kfake.BrokerConfigs(map[string]string{"group.min.session.timeout.ms": minSessionTimeoutMillis}),
	}
	if cfg.DataDir != "" {
		opts = append(opts, kfake.DataDir(cfg.DataDir))
	}
	if len(cfg.Users) > 0 {
		opts = append(opts, kfake.EnableSASL())
	}
	for _, u := range cfg.Users {
		opts = append(opts, kfake.Superuser(u.Mechanism, u.Name, u.Password))
	}
	return append(opts, cfg.Options...), nil
}

// listen replaces kfake's listener, which knows only 127.0.0.1, and puts the append time codec between it and the
// client. TLS is done here and not by kfake, because the codec must stand inside of it.
func (cfg KafkaConfig) listen(times *appendTimes) func(network, addr string) (net.Listener, error) {
	return func(network, addr string) (net.Listener, error) {
		host, _, err := net.SplitHostPort(cfg.addr())
		if err != nil {
			return nil, err
		}
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		ln, err := net.Listen(network, net.JoinHostPort(host, port))
		if err != nil {
			return nil, err
		}
		if cfg.TLS != nil {
			ln = tls.NewListener(ln, cfg.TLS)
		}
		return &wireListener{Listener: ln, times: times, conns: make(map[*wireConn]struct{})}, nil
	}
}

func (cfg KafkaConfig) addr() string {
	if cfg.Addr == "" {
		return "127.0.0.1:0"
	}
	return cfg.Addr
}
