package realkafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// readyTimeout bounds a start. A node is up in 2.5 s on an idle machine; a loaded one needs several times that.
	readyTimeout = 90 * time.Second
	// readyPoll is how often a starting node is asked.
	readyPoll = 50 * time.Millisecond
)

// awaitNode returns when node n answers and is part of the cluster.
func (c *Cluster) awaitNode(ctx context.Context, n int) error {
	cl, err := c.client(c.PlainAddrs()[n])
	if err != nil {
		return err
	}
	defer cl.Close()
	return c.await(ctx, n, func(ctx context.Context) error {
		meta, err := kadm.NewClient(cl).BrokerMetadata(ctx)
		if err != nil {
			return err
		}
		for _, b := range meta.Brokers {
			if int(b.NodeID) == n {
				return nil
			}
		}
		return fmt.Errorf("node %d has not joined", n)
	})
}

// awaitCoordinators returns when the cluster serves consumer groups and producer ids. Their internal topics come with the
// first question, and take a moment.
func (c *Cluster) awaitCoordinators(ctx context.Context) error {
	cl, err := c.client(c.PlainAddrs()...)
	if err != nil {
		return err
	}
	defer cl.Close()
	return c.await(ctx, 0, func(ctx context.Context) error {
		ids := kmsg.NewPtrInitProducerIDRequest()
		resp, err := ids.RequestWith(ctx, cl)
		if err != nil {
			return err
		}
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return err
		}
		_, err = kadm.NewClient(cl).FetchOffsets(ctx, "kelisim-warm-up")
		return err
	})
}

// await asks until there is no error, node n ends, or time is up.
func (c *Cluster) await(ctx context.Context, n int, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	running := c.nodes[n].process
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-running.Done():
			return running.Ended()
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w\n%s", err, running.LogTail())
		case <-time.After(readyPoll):
		}
	}
}

func (c *Cluster) client(addrs ...string) (*kgo.Client, error) {
	return kgo.NewClient(kgo.SeedBrokers(addrs...), kgo.MetadataMinAge(readyPoll), kgo.RetryTimeout(readyPoll),
		kgo.DialTimeout(time.Second))
}
