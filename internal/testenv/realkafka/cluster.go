// Package realkafka runs Apache Kafka 4.3.1 on Java for tests: one node or a few, each a broker and a controller, on free
// loopback ports, with settings that make it start fast and behave like a cluster of one.
//
// It needs Java 17 and, once, Maven. It leaves the lifetime of child processes to package process.
// The callers are internal/testenv and the launcher withkafka.
package realkafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/kelisim/kelisim/internal/embedded"
	"github.com/kelisim/kelisim/internal/testenv/process"
)

// clusterID is any id in the form that Kafka wants: 16 bytes in URL-safe base 64.
const clusterID = "a2VsaXNpbS10ZXN0LTAwMQ"

// Config describes a cluster. The zero value is one node without security.
type Config struct {
	Nodes          int
	CertificatePEM []byte // with KeyPEM (PKCS#8): clients must speak TLS
	KeyPEM         []byte
	Users          []embedded.KafkaUser // clients must authenticate
	Settings       map[string]string    // added to server.properties

	// Brief makes a node that starts with a third of the CPU and is slower under load: for a test that starts its own.
	Brief bool
}

// Cluster is a running Kafka. Its nodes are numbered from 0, as their node.id.
type Cluster struct {
	cfg   Config
	java  []string // class path and the flags that all our Java processes share
	nodes []*node
}

// node is one Java process; process is nil while it is stopped.
type node struct {
	dir     string
	ports   map[string]int // by listener
	process *process.Process
}

// Start starts a cluster and returns when every node answers. The caller must Close it.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	java, err := Java(ctx)
	if err != nil {
		return nil, err
	}
	return start(ctx, cfg, java)
}

func start(ctx context.Context, cfg Config, java []string) (*Cluster, error) {
	c := &Cluster{cfg: cfg, java: java}
	for n := range max(cfg.Nodes, 1) {
		dir, err := process.Dir("kafka-" + strconv.Itoa(n))
		if err != nil {
			return nil, fmt.Errorf("kafka node %d: %w", n, err)
		}
		ports, err := process.FreePorts(3)
		if err != nil {
			return nil, fmt.Errorf("kafka node %d: %w", n, err)
		}
		c.nodes = append(c.nodes, &node{dir: dir, ports: map[string]int{
			"CLIENT": ports[0], "BROKER": ports[1], "CONTROLLER": ports[2],
		}})
	}
	if err := c.startAll(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Cluster) startAll(ctx context.Context) error {
	var all errgroup.Group
	for n := range c.nodes {
		all.Go(func() error {
			if err := c.format(ctx, n); err != nil {
				return fmt.Errorf("format kafka node %d: %w", n, err)
			}
			return c.StartNode(ctx, n)
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	return c.awaitCoordinators(ctx)
}

// Addrs returns the address for clients of every node.
func (c *Cluster) Addrs() []string { return c.addrs("CLIENT") }

// PlainAddrs returns addresses that need neither TLS nor SASL, whatever clients need.
func (c *Cluster) PlainAddrs() []string { return c.addrs("BROKER") }

// StartNode starts a node that is not running, on the ports and the data it had, and returns when it answers.
func (c *Cluster) StartNode(ctx context.Context, n int) error {
	node := c.nodes[n]
	if node.process != nil {
		return fmt.Errorf("kafka node %d is running", n)
	}
	args := append(slices.Clone(c.java), "-Xms256m", "-Xmx384m", "-Dorg.slf4j.simpleLogger.showDateTime=true")
	if c.cfg.Brief {
		args = append(args, "-XX:TieredStopAtLevel=1")
	}
	p, err := process.Start(filepath.Join(node.dir, "server.log"), "java", append(args, "kafka.Kafka", node.config())...)
	if err != nil {
		return fmt.Errorf("kafka node %d: %w", n, err)
	}
	node.process = p
	if err := c.awaitNode(ctx, n); err != nil {
		return fmt.Errorf("kafka node %d: %w", n, err)
	}
	return nil
}

// StopNode shuts a node down in order; it hands its leaderships over first.
func (c *Cluster) StopNode(n int) error { return c.end(n, (*process.Process).Stop) }

// KillNode ends a node at once.
func (c *Cluster) KillNode(n int) error { return c.end(n, (*process.Process).Kill) }

func (c *Cluster) end(n int, how func(*process.Process) error) error {
	node := c.nodes[n]
	if node.process == nil {
		return fmt.Errorf("kafka node %d: %w", n, process.ErrStopped)
	}
	err := how(node.process)
	node.process = nil
	return err
}

// PauseNode stops a node in its tracks until ResumeNode; its connections stay open.
func (c *Cluster) PauseNode(n int) error { return c.nodes[n].process.Pause() }

// ResumeNode ends a PauseNode.
func (c *Cluster) ResumeNode(n int) error { return c.nodes[n].process.Resume() }

// Close kills all nodes and removes what they wrote.
func (c *Cluster) Close() {
	for n, node := range c.nodes {
		if err := c.KillNode(n); err != nil && !errors.Is(err, process.ErrStopped) {
			continue // the kernel ends it with us
		}
		_ = os.RemoveAll(node.dir)
	}
}

// format prepares a node's directory and writes its configuration.
func (c *Cluster) format(ctx context.Context, n int) error {
	node := c.nodes[n]
	if err := os.WriteFile(node.config(), encode(c.properties(n)), 0o600); err != nil {
		return err
	}
	args := append(slices.Clone(c.java), "-XX:TieredStopAtLevel=1",
		"kafka.tools.StorageTool", "format", "-t", clusterID, "-c", node.config())
	args = append(args, c.scramUsers()...)
	if out, err := exec.CommandContext(ctx, "java", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

func (c *Cluster) addrs(listener string) []string {
	var addrs []string
	for _, node := range c.nodes {
		addrs = append(addrs, net.JoinHostPort("127.0.0.1", strconv.Itoa(node.ports[listener])))
	}
	return addrs
}

func (n *node) config() string { return filepath.Join(n.dir, "server.properties") }
