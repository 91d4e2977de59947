// Package topics holds the topics of a cluster against deploy/topics.yaml, the one
// source: it says what differs, creates what is missing, and brings settings back
// that somebody changed. It never changes a number of partitions: that moves
// subjects away from their history, and takes a new generation.
package topics

import (
	"context"
	"maps"
	"slices"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events/stream"
)

// Cluster is what the package needs of Kafka; [*stream.Admin] is one.
type Cluster interface {
	Cluster(ctx context.Context) (stream.Cluster, error)
	Topics(ctx context.Context, names ...string) (map[string]stream.Topic, error)
	TopicSettings(ctx context.Context, topics ...string) (map[string]map[string]stream.Setting, error)
}

// Wanted returns the topics as they have to be on a cluster: the layout's, under
// the names that the services are configured with where those are others, and with
// no more replicas than the cluster has brokers.
func Wanted(ctx context.Context, k Cluster, layout deploy.Layout, names map[string]string) ([]deploy.Topic, error) {
	brokers, err := size(ctx, k)
	if err != nil {
		return nil, err
	}
	wanted := layout.ForBrokers(brokers).Topics
	for i := range wanted {
		if name := names[wanted[i].Name]; name != "" {
			wanted[i].Name = name
		}
	}
	return wanted, nil
}

// size counts the brokers of a cluster, also those that are away just now: a
// cluster that lost one must not be held against the replicas of a smaller one.
func size(ctx context.Context, k Cluster) (int, error) {
	cluster, err := k.Cluster(ctx)
	if err != nil {
		return 0, err
	}
	all, err := k.Topics(ctx)
	if err != nil {
		return 0, err
	}
	brokers := make(map[int32]bool)
	for _, b := range cluster.Brokers {
		brokers[b.ID] = true
	}
	for _, t := range all {
		for _, p := range t.Partitions {
			for _, id := range p.Replicas {
				brokers[id] = true
			}
		}
	}
	return len(brokers), nil
}

// find describes those of the topics that are there, and their settings.
func find(ctx context.Context, k Cluster, wanted []deploy.Topic) (map[string]stream.Topic, map[string]map[string]stream.Setting, error) {
	var names []string
	for _, t := range wanted {
		names = append(names, t.Name)
	}
	found, err := k.Topics(ctx, names...)
	if err != nil {
		return nil, nil, err
	}
	settings, err := k.TopicSettings(ctx, slices.Sorted(maps.Keys(found))...)
	return found, settings, err
}
