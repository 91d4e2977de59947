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

// clusterPatience bounds the forming of a cluster, in which nodes gossip once a second.
const clusterPatience = 30 * time.Second

// Cluster is a Redis Cluster of masters without replicas.
type Cluster struct {
	Servers []*Server
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
	var bus []int
	for i := range n {
		ports, err := process.FreePorts(1)
		if err != nil {
			return err
		}
		bus = append(bus, ports[0])
		s, err := New(map[string]string{
			"cluster-enabled": "yes", "cluster-port": strconv.Itoa(ports[0]), "cluster-node-timeout": "2000",
		})
		if err != nil {
			return err
		}
		c.Servers = append(c.Servers, s)
		if err := s.Start(ctx); err != nil {
			return err
		}
		first, last := i*hashSlots/n, (i+1)*hashSlots/n-1
		if err := c.join(ctx, i, first, last, bus[0]); err != nil {
			return err
		}
	}
	return c.awaitAgreement(ctx)
}

// join gives server i its slots and introduces it to the first one.
func (c *Cluster) join(ctx context.Context, i, first, last, firstBus int) error {
	cl := c.Servers[i].Client()
	defer cl.Close()
	if err := cl.ClusterAddSlotsRange(ctx, first, last).Err(); err != nil {
		return fmt.Errorf("slots %d-%d: %w", first, last, err)
	}
	if i == 0 {
		return nil
	}
	host, port, err := net.SplitHostPort(c.Servers[0].Addr())
	if err != nil {
		return err
	}
	return cl.Do(ctx, "CLUSTER", "MEET", host, port, firstBus).Err()
}

// awaitAgreement returns when every server knows every other one and all slots.
func (c *Cluster) awaitAgreement(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, clusterPatience)
	defer cancel()
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
