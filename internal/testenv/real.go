//go:build real

package testenv

import (
	"context"
	"os"
	"testing"

	"github.com/kelisim/kelisim/internal/testenv/realkafka"
	"github.com/kelisim/kelisim/internal/testenv/realredis"
)

// kafkaEnv names the environment variable that holds the host:port of a running Kafka to share, which the launcher
// withkafka sets: a run over many packages then starts one Kafka and not one per package.
const kafkaEnv = "KELISIM_TEST_KAFKA"

// Real reports whether tests run on Apache Kafka and redis-server.
func Real() bool { return true }

// Cluster gives access to the processes of a Kafka of the test's own: pausing nodes, plain listeners.
func (b *Broker) Cluster() *realkafka.Cluster { return b.server.(ownKafka).Cluster }

// foreignKafka is one that somebody else started.
type foreignKafka struct {
	kafkaServer // nil: own refuses before any of its methods is reached
	addr        string
}

// Addrs returns its one address.
func (k foreignKafka) Addrs() []string { return []string{k.addr} }

// ownKafka gives a cluster the method names of kafkaServer.
type ownKafka struct{ *realkafka.Cluster }

// Start starts a stopped node.
func (k ownKafka) Start(ctx context.Context, node int) error { return k.StartNode(ctx, node) }

// Stop shuts a node down.
func (k ownKafka) Stop(node int) error { return k.StopNode(node) }

// Kill ends a node.
func (k ownKafka) Kill(node int) error { return k.KillNode(node) }

func startSharedKafka() (kafkaServer, error) {
	if addr := os.Getenv(kafkaEnv); addr != "" {
		return foreignKafka{addr: addr}, nil
	}
	cluster, err := realkafka.Start(context.Background(), realkafka.Config{})
	if err != nil {
		return nil, err
	}
	return ownKafka{cluster}, nil
}

func startOwnKafka(_ string, cfg KafkaConfig, cert *certificate) (kafkaServer, error) {
	own := realkafka.Config{Brief: true, Nodes: cfg.Brokers, Users: cfg.Users, Settings: cfg.Settings}
	if cert != nil {
		own.CertificatePEM, own.KeyPEM = cert.chainPEM, cert.keyPEM
	}
	cluster, err := realkafka.Start(context.Background(), own)
	if err != nil {
		return nil, err
	}
	return ownKafka{cluster}, nil
}

func startRedis(t testing.TB) (redisServer, error) { return startRealRedis(t, nil) }

func startRealRedis(t testing.TB, settings map[string]string) (*realredis.Server, error) {
	server, err := realredis.New(settings)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = server.Close() })
	return server, server.Start(t.Context())
}
