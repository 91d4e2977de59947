package realkafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// MoveLeader makes node the leader of a partition: it becomes the preferred replica, then an election prefers it. It
// returns when the cluster says so.
func (c *Cluster) MoveLeader(ctx context.Context, topic string, partition, node int32) error {
	cl, err := c.client(c.PlainAddrs()...)
	if err != nil {
		return err
	}
	defer cl.Close()
	admin := kadm.NewClient(cl)

	replicas := []int32{node}
	for n := range int32(len(c.nodes)) {
		if n != node {
			replicas = append(replicas, n)
		}
	}
	var order kadm.AlterPartitionAssignmentsReq
	order.Assign(topic, partition, replicas)
	if _, err := admin.AlterPartitionAssignments(ctx, order); err != nil {
		return fmt.Errorf("prefer node %d: %w", node, err)
	}
	var set kadm.TopicsSet
	set.Add(topic, partition)
	for {
		if _, err := admin.ElectLeaders(ctx, kadm.ElectPreferredReplica, set); err != nil {
			return fmt.Errorf("elect node %d: %w", node, err)
		}
		topics, err := admin.ListTopics(ctx, topic)
		if err == nil && topics[topic].Partitions[partition].Leader == node {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("elect node %d: %w", node, ctx.Err())
		case <-time.After(readyPoll):
		}
	}
}
