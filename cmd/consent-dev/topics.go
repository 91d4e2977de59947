package main

import (
	"context"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/cmd/internal/roles"
	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/schemas"
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

// publishPolicy publishes the seed version, under which the people here consent.
// Where it is published already, as in a Kafka that others use too, it is a copy.
func publishPolicy(ctx context.Context, p *roles.Platform) error {
	e, err := policy.Seed().Event("/consent-dev", time.Now())
	if err != nil {
		return err
	}
	message, err := cloudevent.Encoder{Data: schemas.Data}.Encode(&e)
	if err != nil {
		return err
	}
	message.Topic = p.Config.Topics.Policies
	if _, err := p.Producer.Publish(ctx, message); err != nil {
		return fmt.Errorf("publish the policy: %w", err)
	}
	return nil
}
