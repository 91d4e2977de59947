package main

import (
	"context"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events/stream"
)

// createTopics creates the topics of deploy/topics.yaml that are not there, for
// a single broker: one replica each.
func createTopics(ctx context.Context, admin *stream.Admin) error {
	layout, err := deploy.Topics()
	if err != nil {
		return err
	}
	var specs []stream.TopicSpec
	for _, t := range layout.ForBrokers(1).Topics {
		specs = append(specs, stream.TopicSpec{Name: t.Name, Partitions: t.Partitions, Replicas: t.Replicas, Config: t.Config})
	}
	return admin.CreateTopics(ctx, specs)
}
