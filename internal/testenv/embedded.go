//go:build !real

package testenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kelisim/kelisim/internal/embedded"
)

// Real reports whether tests run on Apache Kafka and redis-server.
func Real() bool { return false }

// Fake gives access to the in-process Kafka, for fault injection. It is not there on real Kafka.
func (b *Broker) Fake() *kfake.Cluster { return b.server.(*embeddedKafka).cluster() }

// Embedded gives access to the in-process Redis, for fault injection. It is not there on real Redis.
func (r *RedisServer) Embedded() *embedded.Redis { return r.server.(*embeddedRedis).redis }

// embeddedKafka lets the nodes of the in-process Kafka be stopped one by one. When the last one stops, the whole Kafka
// is closed; it comes back from its directory.
type embeddedKafka struct {
	cfg   embedded.KafkaConfig
	addrs []string

	mu    sync.Mutex
	kafka *embedded.Kafka
	down  map[int]bool
}

func startSharedKafka() (kafkaServer, error) {
	return startEmbeddedKafka(embedded.KafkaConfig{Brokers: 1})
}

func startOwnKafka(dir string, cfg KafkaConfig, cert *certificate) (kafkaServer, error) {
	own := embedded.KafkaConfig{DataDir: dir, Brokers: cfg.Brokers, Users: cfg.Users}
	if cert != nil {
		own.TLS = cert.server()
	}
	return startEmbeddedKafka(own)
}

// collectSeldom has garbage collected when there is four times what lives, unless GOGC says another number: servers and
// clients in one process throw most of what they make away at once, and with Go's own 100 a tenth of the tests' processor
// time went into looking for it.
var collectSeldom = sync.OnceFunc(func() {
	if _, chosen := os.LookupEnv("GOGC"); !chosen {
		debug.SetGCPercent(400)
	}
})

func startEmbeddedKafka(cfg embedded.KafkaConfig) (*embeddedKafka, error) {
	collectSeldom()
	kafka, err := embedded.StartKafka(cfg)
	if err != nil {
		return nil, err
	}
	k := &embeddedKafka{cfg: cfg, kafka: kafka, addrs: kafka.Addrs(), down: make(map[int]bool)}
	var ports []int
	for node := range k.addrs {
		ports = append(ports, k.port(node))
	}
	k.cfg.Options = []kfake.Opt{kfake.Ports(ports...)} // the same ones after a restart
	return k, nil
}

// Addrs returns the addresses of all nodes, also of stopped ones.
func (k *embeddedKafka) Addrs() []string { return k.addrs }

// Stop takes a node out of the cluster and closes its connections.
func (k *embeddedKafka) Stop(node int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.down[node] {
		return errors.New("already stopped")
	}
	k.down[node] = true
	if len(k.down) == len(k.addrs) {
		k.kafka.Close()
		return nil
	}
	return k.kafka.Cluster().RemoveNode(int32(node))
}

// Kill is Stop: nothing inside one process can die alone.
func (k *embeddedKafka) Kill(node int) error { return k.Stop(node) }

// Start brings a stopped node back on its port.
func (k *embeddedKafka) Start(_ context.Context, node int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.down[node] {
		return errors.New("already running")
	}
	if len(k.down) < len(k.addrs) {
		delete(k.down, node)
		_, _, err := k.kafka.Cluster().AddNode(int32(node), k.port(node))
		return err
	}
	kafka, err := embedded.StartKafka(k.cfg)
	if err != nil {
		return err
	}
	k.kafka = kafka
	delete(k.down, node)
	for other := range k.down {
		if err := kafka.Cluster().RemoveNode(int32(other)); err != nil {
			return fmt.Errorf("keep node %d stopped: %w", other, err)
		}
	}
	return nil
}

// MoveLeader makes a node the leader of a partition.
func (k *embeddedKafka) MoveLeader(_ context.Context, topic string, partition, node int32) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kafka.Cluster().MoveTopicPartition(topic, partition, node)
}

// Close stops everything.
func (k *embeddedKafka) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kafka.Close()
}

func (k *embeddedKafka) cluster() *kfake.Cluster {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kafka.Cluster()
}

func (k *embeddedKafka) port(node int) int {
	_, text, _ := net.SplitHostPort(k.addrs[node])
	port, _ := strconv.Atoi(text)
	return port
}

// embeddedRedis is an in-process Redis that can be stopped and comes back empty.
type embeddedRedis struct {
	addr  string
	redis *embedded.Redis
}

func startRedis(testing.TB) (redisServer, error) {
	collectSeldom()
	r := &embeddedRedis{}
	return r, r.Start(context.Background())
}

// Addr returns the address of the first start.
func (r *embeddedRedis) Addr() string { return r.addr }

// Start starts an empty Redis.
func (r *embeddedRedis) Start(context.Context) error {
	redis, err := embedded.StartRedis(r.addr)
	if err != nil {
		return err
	}
	r.redis, r.addr = redis, redis.Addr()
	return nil
}

// Stop ends it.
func (r *embeddedRedis) Stop() error {
	r.redis.Close()
	return nil
}

// Disconnect ends the connections of all other clients of a real Redis. The one in the process cannot do it; its clients
// stand still when it does.
func Disconnect(context.Context, *redis.Client) error { return nil }
