package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/logread"
	"github.com/kelisim/kelisim/internal/oncall/parked"
	"github.com/kelisim/kelisim/internal/oncall/topics"
)

// planGeneration looks at everything that the new layout rests on, and names the
// topics that are to be created.
func (s *session) planGeneration(ctx context.Context, partitions int) (*topics.Generation, []deploy.Topic, error) {
	admin, wanted, err := s.wantedTopics(ctx)
	if err != nil {
		return nil, nil, err
	}
	layout, err := deploy.Topics()
	if err != nil {
		return nil, nil, err
	}
	before := topics.Before{Generation: s.Generation, Wanted: partitions, Buckets: layout.BucketsPerPartition}
	var created []deploy.Topic
	for _, name := range []string{s.Topics.Events, s.Topics.State} {
		i := slices.IndexFunc(wanted, func(t deploy.Topic) bool { return t.Name == name })
		if i < 0 {
			return nil, nil, fmt.Errorf("topic %s: not in deploy/topics.yaml", name)
		}
		next := wanted[i]
		next.Name, next.Partitions = topics.NameOf(name, s.Generation+1), partitions
		created = append(created, next)
		if name == s.Topics.Events {
			before.Events = wanted[i]
		}
	}
	if before.Services, err = s.standings(ctx); err != nil {
		return nil, nil, err
	}
	if before.Open, err = s.openCases(ctx); err != nil {
		return nil, nil, err
	}
	plan, err := topics.PlanGeneration(ctx, admin, before)
	return plan, created, err
}

// standings says where every service stands in the log of the context's generation.
func (s *session) standings(ctx context.Context) (all []topics.Standing, err error) {
	client, err := s.Redis()
	if err != nil {
		return nil, err
	}
	services, err := s.Services(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range services {
		stands, err := cache.NewReader(client, l.Service).Stands(ctx)
		if err != nil {
			return nil, err
		}
		standing := topics.Standing{Service: l.Service, Stands: stands, Moved: l.Generation == s.Generation+1}
		partitions := make([]int32, l.Partitions)
		for p := range partitions {
			partitions[p] = int32(p)
		}
		spots, err := cache.NewInspector(client, l).Spots(ctx, partitions...)
		if err != nil {
			return nil, err
		}
		for _, spot := range spots {
			standing.Ended = standing.Ended || spot.Known && spot.Stage == events.StageEnded
		}
		all = append(all, standing)
	}
	return all, nil
}

// openCases counts the parked events that nobody has seen to.
func (s *session) openCases(ctx context.Context) (open int, err error) {
	rules, err := s.Rules(ctx)
	if err != nil {
		return 0, err
	}
	desk, err := s.openDesk(cloudevent.Layout{Generation: s.Generation, Topic: s.Topics.Events}, rules)
	if err != nil {
		return 0, err
	}
	cases, _, err := desk.Cases(ctx)
	for _, c := range cases {
		if c.State() == parked.Open {
			open++
		}
	}
	return open, err
}

// openDesk opens a desk for parked events that asks no cache.
func (s *session) openDesk(on cloudevent.Layout, rules *events.Rules) (*parked.Desk, error) {
	log, err := logread.New(s.Kafka)
	if err != nil {
		return nil, err
	}
	producer, err := s.Producer()
	if err != nil {
		return nil, err
	}
	return &parked.Desk{
		Log: log, Publisher: producer, Rules: rules, Decoder: cloudevent.Decoder{Rules: rules}, Operator: "topics generation new",
		Topics: parked.Topics{Events: on.Topic, Parked: s.Topics.Parked, Generation: on.Generation, Partitions: on.Partitions},
	}, nil
}

func layoutOf(generation uint32, topic string, partitions int) cloudevent.Layout {
	return cloudevent.Layout{Generation: generation, Topic: topic, Partitions: int32(partitions)}
}
