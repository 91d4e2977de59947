package topics

import (
	"context"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events/stream"
)

// Creator creates topics; [*stream.Admin] is one.
type Creator interface {
	CreateTopics(ctx context.Context, specs []stream.TopicSpec) error
}

// Missing returns those of the wanted topics that are not there.
func Missing(ctx context.Context, k Cluster, wanted []deploy.Topic) ([]deploy.Topic, error) {
	found, err := k.Topics(ctx)
	if err != nil {
		return nil, err
	}
	var out []deploy.Topic
	for _, t := range wanted {
		if _, there := found[t.Name]; !there {
			out = append(out, t)
		}
	}
	return out, nil
}

// Create creates topics and returns when every partition has a leader.
func Create(ctx context.Context, k Creator, topics []deploy.Topic) error {
	specs := make([]stream.TopicSpec, len(topics))
	for i, t := range topics {
		specs[i] = stream.TopicSpec{Name: t.Name, Partitions: t.Partitions, Replicas: t.Replicas, Config: t.Config}
	}
	return k.CreateTopics(ctx, specs)
}
