package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/audit"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
	"github.com/kelisim/kelisim/internal/oncall/parked"
	"github.com/kelisim/kelisim/internal/oncall/topics"
)

// errNoCarrying is why a generation is planned and not begun.
var errNoCarrying = errors.New("services cannot carry states into another generation yet (docs/generation.md): " +
	"begun now, every guard would deny everybody")

func newTopicsGeneration(p *program) *cobra.Command {
	return group("generation", "Lay the events topic out anew", newTopicsGenerationNew(p))
}

func newTopicsGenerationNew(p *program) *cobra.Command {
	var partitions int
	c := &cobra.Command{
		Use: "new", Short: "Plan another number of partitions", Args: cobra.NoArgs,
		Long: "Plan another number of partitions for the events: another topic, that goes on where barriers end the old one. Never alter the\n" +
			"number in place: a subject's next event would stand in another partition than its history. What stands in the way is\n" +
			"named (exit code 4). Only the plan is built: --apply is refused.",
	}
	c.Flags().IntVar(&partitions, "partitions", 0, "how many the events are to have")
	return p.acting(c, func(ctx context.Context, s *session, actor audit.Actor, _ []string) (output.Result, error) {
		if partitions < 1 {
			return nil, exit.Misused("--partitions: say how many")
		}
		plan, err := s.planGeneration(ctx, partitions)
		if err != nil {
			return nil, err
		}
		report := generationReport{plan}
		if n := len(plan.Refused); n > 0 {
			return report, exit.Refuse("%s", plan.Refused[0])
		}
		if _, dry := actor.(audit.DryRun); !dry {
			return report, exit.Refuse("%w", errNoCarrying)
		}
		return report, nil
	})
}

func (s *session) planGeneration(ctx context.Context, partitions int) (*topics.Generation, error) {
	admin, wanted, err := s.wantedTopics(ctx)
	if err != nil {
		return nil, err
	}
	layout, err := deploy.Topics()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(wanted, func(t deploy.Topic) bool { return t.Name == s.Topics.Events })
	if i < 0 {
		return nil, fmt.Errorf("topic %s: not in deploy/topics.yaml", s.Topics.Events)
	}
	before := topics.Before{Generation: s.Generation, Events: wanted[i], Wanted: partitions, Buckets: layout.BucketsPerPartition}
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
		before.Services = append(before.Services, topics.Standing{Service: l.Service, Stands: stands})
	}
	desk, err := s.desk(ctx, "")
	if err != nil {
		return nil, err
	}
	cases, _, err := desk.Cases(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range cases {
		if c.State() == parked.Open {
			before.Open++
		}
	}
	return topics.PlanGeneration(ctx, admin, before)
}

type generationReport struct{ *topics.Generation }

// Text implements [output.Result].
func (r generationReport) Text(w io.Writer) {
	fmt.Fprintf(w, "generation %d to %d: %s with %d partitions, then %s with %d\nmoves: %s\n",
		r.From, r.To, r.Old, r.Partitions, r.New, r.Wanted, r.Moving)
	for _, p := range slices.Sorted(maps.Keys(r.Ends)) {
		fmt.Fprintf(w, "partition %d ends at %d\n", p, r.Ends[p])
	}
	for _, why := range r.Refused {
		fmt.Fprintln(w, "in the way:", why)
	}
}
