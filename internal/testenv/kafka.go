package testenv

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/kelisim/kelisim/internal/embedded"
)

// adminTimeout bounds one administrative call. A real broker on a busy two-core machine has been seen to need seconds.
const adminTimeout = 30 * time.Second

// metadataAge is how soon the tests' own clients look again where a partition is. They would wait five seconds for a topic
// that is new.
const metadataAge = 50 * time.Millisecond

// User is a SASL account: its mechanism (PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512), name and password.
type User = embedded.KafkaUser

// KafkaConfig describes a Kafka of a test's own.
type KafkaConfig struct {
	// Brokers is the number of nodes, numbered from 0; 0 means one. Topics get one replica per node.
	Brokers int
	// TLS makes clients speak TLS; Broker.TLS has the matching client configuration.
	TLS bool
	// Users, when not empty, makes clients authenticate as one of them.
	Users []User
	// Settings are added to the server.properties of real brokers; the embedded one ignores them.
	Settings map[string]string
}

// Option changes the Kafka that a test asks for.
type Option func(*KafkaConfig)

// WithBrokers asks for n nodes.
func WithBrokers(n int) Option { return func(c *KafkaConfig) { c.Brokers = n } }

// WithTLS asks for listeners that speak TLS.
func WithTLS() Option { return func(c *KafkaConfig) { c.TLS = true } }

// WithUsers asks for listeners that demand SASL.
func WithUsers(users ...User) Option { return func(c *KafkaConfig) { c.Users = users } }

// Broker is a Kafka for tests: one node or a few.
type Broker struct {
	cfg    KafkaConfig
	server kafkaServer
	cert   *certificate
	shared bool
}

// kafkaServer is what the embedded and the real Kafka have in common. Nodes are numbered from 0.
type kafkaServer interface {
	Addrs() []string
	Start(ctx context.Context, node int) error
	Stop(node int) error
	Kill(node int) error
	MoveLeader(ctx context.Context, topic string, partition, node int32) error
	Close()
}

// sharedKafkas start the Kafkas that all tests of this process share, each on first use: by what was asked for, a
// func() (*Broker, error). They live as long as the process.
var sharedKafkas sync.Map

// Kafka returns a Kafka to test against, which the test shares with all others of its process that ask for the same: it
// may move leaders of its own topics, and stop no node. Without options it is one broker (on real Kafka the one at
// KELISIM_TEST_KAFKA, if that is set).
func Kafka(t testing.TB, opts ...Option) *Broker {
	t.Helper()
	var cfg KafkaConfig
	for _, opt := range opts {
		opt(&cfg)
	}
	start, _ := sharedKafkas.LoadOrStore(fmt.Sprintf("%+v", cfg), sync.OnceValues(func() (*Broker, error) {
		if len(opts) > 0 {
			return newBroker("", cfg)
		}
		server, err := startSharedKafka()
		return &Broker{server: server}, err
	}))
	b, err := start.(func() (*Broker, error))()
	require.NoError(t, err, "shared kafka")
	mine := *b
	mine.shared = true
	return &mine
}

// StartKafka starts a Kafka for this test alone, which may stop, kill and restart its nodes. It keeps its data and its
// ports across restarts.
func StartKafka(t testing.TB, cfg KafkaConfig) *Broker {
	t.Helper()
	b, err := newBroker(t.TempDir(), cfg)
	require.NoError(t, err, "start kafka")
	t.Cleanup(b.server.Close)
	return b
}

// newBroker starts a Kafka. An embedded one keeps its data in dir, or in memory when there is none.
func newBroker(dir string, cfg KafkaConfig) (*Broker, error) {
	cfg.Brokers = max(cfg.Brokers, 1)
	b := &Broker{cfg: cfg}
	var err error
	if cfg.TLS {
		if b.cert, err = newCertificate(); err != nil {
			return nil, err
		}
	}
	b.server, err = startOwnKafka(dir, cfg, b.cert)
	return b, err
}

// StartKafka3 starts three nodes for this test alone. Topics have three replicas.
func StartKafka3(t testing.TB) *Broker {
	t.Helper()
	return StartKafka(t, KafkaConfig{Brokers: 3})
}

// Addr returns the host:port that clients connect to first.
func (b *Broker) Addr() string { return b.server.Addrs()[0] }

// Addrs returns the host:port of every node, in the order of their numbers.
func (b *Broker) Addrs() []string { return b.server.Addrs() }

// TLS returns a new client configuration that trusts this Kafka, or nil when it does not speak TLS.
func (b *Broker) TLS() *tls.Config {
	if b.cert == nil {
		return nil
	}
	return b.cert.client()
}

// Stop shuts the nodes down in order, all of them when none is named.
func (b *Broker) Stop(t testing.TB, nodes ...int) {
	t.Helper()
	for _, node := range b.own(t, nodes) {
		require.NoError(t, b.server.Stop(node), "stop node %d", node)
	}
}

// Kill ends the nodes at once, all of them when none is named. The embedded Kafka cannot be killed alone, so there it
// is the same as Stop.
func (b *Broker) Kill(t testing.TB, nodes ...int) {
	t.Helper()
	for _, node := range b.own(t, nodes) {
		require.NoError(t, b.server.Kill(node), "kill node %d", node)
	}
}

// Start starts nodes that were stopped or killed, all of them when none is named, and returns when they answer.
func (b *Broker) Start(t testing.TB, nodes ...int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*adminTimeout)
	defer cancel()
	var wg sync.WaitGroup // together: the controllers of several nodes need each other
	for _, node := range b.own(t, nodes) {
		wg.Go(func() {
			if err := b.server.Start(ctx, node); err != nil {
				t.Errorf("start node %d: %v", node, err)
			}
		})
	}
	wg.Wait()
	require.False(t, t.Failed(), "kafka did not start")
}

// MoveLeader makes a node the leader of a partition and returns when it is.
func (b *Broker) MoveLeader(t testing.TB, topic string, partition, node int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), adminTimeout)
	defer cancel()
	err := b.server.MoveLeader(ctx, topic, int32(partition), int32(node))
	require.NoError(t, err, "move leader of %s/%d to node %d", topic, partition, node)
}

// Admin returns a client for administration, which ends with the test. It is the test's own view of Kafka, through
// another library than the one under test.
func (b *Broker) Admin(t testing.TB) *kadm.Client {
	t.Helper()
	admin, err := b.admin()
	require.NoError(t, err)
	t.Cleanup(admin.Close)
	return admin
}

func (b *Broker) admin() (*kadm.Client, error) {
	cl, err := kgo.NewClient(b.clientOptions()...)
	if err != nil {
		return nil, err
	}
	return kadm.NewClient(cl), nil
}

func (b *Broker) clientOptions() []kgo.Opt {
	opts := []kgo.Opt{kgo.SeedBrokers(b.Addrs()...), kgo.MetadataMinAge(metadataAge)}
	if tlsConfig := b.TLS(); tlsConfig != nil {
		opts = append(opts, kgo.DialTLSConfig(tlsConfig))
	}
	if len(b.cfg.Users) > 0 {
		opts = append(opts, kgo.SASL(mechanism(b.cfg.Users[0])))
	}
	return opts
}

// own refuses to touch the shared Kafka and turns "none named" into all nodes.
func (b *Broker) own(t testing.TB, nodes []int) []int {
	t.Helper()
	require.False(t, b.shared, "the shared Kafka belongs to all tests: use StartKafka")
	if len(nodes) > 0 {
		return nodes
	}
	for node := range b.Addrs() {
		nodes = append(nodes, node)
	}
	return nodes
}

func mechanism(u User) sasl.Mechanism {
	switch u.Mechanism {
	case "SCRAM-SHA-256":
		return scram.Auth{User: u.Name, Pass: u.Password}.AsSha256Mechanism()
	case "SCRAM-SHA-512":
		return scram.Auth{User: u.Name, Pass: u.Password}.AsSha512Mechanism()
	default:
		return plain.Auth{User: u.Name, Pass: u.Password}.AsMechanism()
	}
}
