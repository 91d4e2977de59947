package realredis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/kelisim/kelisim/internal/testenv/process"
)

// hashSlots is the number of slots of every Redis Cluster (Redis Cluster specification).
const hashSlots = 16384

// nodeTimeoutMillis is Redis' own default: a machine that stands still for some seconds has lost no node. No test waits for
// a node to be given up.
const nodeTimeoutMillis = "15000"

// meetAgain is how long servers may take to know each other before they are introduced once more: a handshake that a
// machine at rest let time out is not tried again by itself.
const meetAgain = 5 * time.Second

// clusterPatience bounds the forming of a cluster, in which nodes gossip once a second.
const clusterPatience = 30 * time.Second

// Cluster is a Redis Cluster of masters without replicas.
type Cluster struct {
	Servers []*Server
	bus     int // port at which the first server hears the others
}

// StartCluster starts a cluster of n masters that share the slots evenly. The caller must Close it.
func StartCluster(ctx context.Context, n int) (*Cluster, error) {
	c := &Cluster{}
	err := c.start(ctx, n)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("redis cluster: %w", err), c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, n int) error {
	for i := range n {
		ports, err := process.FreePorts(1)
		if err != nil {
			return err
		}
		if i == 0 {
			c.bus = ports[0]
		}
		s, err := New(map[string]string{
			"cluster-enabled": "yes", "cluster-port": strconv.Itoa(ports[0]), "cluster-node-timeout": nodeTimeoutMillis,
		})
		if err != nil {
			return err
		}
		c.Servers = append(c.Servers, s)
		if err := s.Start(ctx); err != nil {
			return err
		}
		first, last := i*hashSlots/n, (i+1)*hashSlots/n-1
		if err := c.join(ctx, i, first, last); err != nil {
			return err
		}
	}
	return c.awaitAgreement(ctx)
}

// join gives server i its slots and introduces it to the first one.
func (c *Cluster) join(ctx context.Context, i, first, last int) error {
	cl := c.Servers[i].Client()
	defer cl.Close()
	if err := cl.ClusterAddSlotsRange(ctx, first, last).Err(); err != nil {
		return fmt.Errorf("slots %d-%d: %w", first, last, err)
	}
	if i == 0 {
		return nil
	}
	return c.meet(ctx, i)
}

// meet introduces server i to the first one.
func (c *Cluster) meet(ctx context.Context, i int) error {
	cl := c.Servers[i].Client()
	defer cl.Close()
	host, port, err := net.SplitHostPort(c.Servers[0].Addr())
	if err != nil {
		return err
	}
	return cl.Do(ctx, "CLUSTER", "MEET", host, port, c.bus).Err()
}

// awaitAgreement returns when every server knows every other one and all slots.
func (c *Cluster) awaitAgreement(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, clusterPatience)
	defer cancel()
	again := time.NewTicker(meetAgain)
	defer again.Stop()
	for _, s := range c.Servers {
		cl := s.Client()
		defer cl.Close()
		for {
			info, err := cl.ClusterInfo(ctx).Result()
			if err == nil && strings.Contains(info, "cluster_state:ok") &&
				strings.Contains(info, fmt.Sprintf("cluster_size:%d", len(c.Servers))) {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s: %w\n%s", s.Addr(), ctx.Err(), info)
			case <-again.C:
				for i := 1; i < len(c.Servers); i++ {
					_ = c.meet(ctx, i) // the next time, if not now
				}
			case <-time.After(startPoll):
			}
		}
	}
	return nil
}

// Addrs returns the address of every master.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, s := range c.Servers {
		addrs = append(addrs, s.Addr())
	}
	return addrs
}

// Close stops all servers and removes their directories.
func (c *Cluster) Close() error {
	var errs []error
	for _, s := range c.Servers {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
