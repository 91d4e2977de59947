package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/oncall/topics"
)

func newTopics(p *program) *cobra.Command {
	return group("topics", "Create topics, and hold them to deploy/topics.yaml",
		newTopicsCheck(p), newTopicsCreate(p), newTopicsAlign(p), newTopicsGeneration(p))
}

// topicNames are the configured names of the topics of deploy/topics.yaml.
func topicNames(cfg daemon.Config) map[string]string {
	t := cfg.Topics
	return map[string]string{
		deploy.EventsTopic: t.Events, deploy.PoliciesTopic: t.Policies, deploy.ParkedTopic: t.Parked,
		deploy.ReceiptsTopic: t.Receipts, deploy.AuditTopic: t.Audit, deploy.StateTopic: t.State, deploy.ActivityTopic: cfg.Policy.Activity.Topic,
	}
}

// wantedTopics returns the topics as they have to be on the cluster.
func (s *session) wantedTopics(ctx context.Context) (*stream.Admin, []deploy.Topic, error) {
	layout, err := s.layout(ctx)
	if err != nil {
		return nil, nil, err
	}
	_, cfg, _, err := s.program.load(s.Command)
	if err != nil {
		return nil, nil, err
	}
	admin, err := s.Admin()
	if err != nil {
		return nil, nil, err
	}
	wanted, err := topics.Wanted(ctx, admin, layout, topicNames(cfg))
	return admin, wanted, err
}

// layout returns deploy/topics.yaml, for the generation that the context is of.
func (s *session) layout(ctx context.Context) (deploy.Layout, error) {
	layout, err := deploy.Topics()
	if err != nil || s.Generation <= layout.Generation {
		return layout, err
	}
	admin, err := s.Admin()
	if err != nil {
		return layout, err
	}
	partitions, err := admin.Partitions(ctx, s.Topics.Events)
	return layout.OfGeneration(s.Generation, partitions), err
}
