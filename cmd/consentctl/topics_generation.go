package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/consumers/policy"
	"github.com/kelisim/kelisim/consumers/targeting"
	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/audit"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/generation"
	"github.com/kelisim/kelisim/internal/oncall/output"
	"github.com/kelisim/kelisim/internal/oncall/topics"
	"github.com/kelisim/kelisim/internal/policyfeed"
)

// handover is how long the new caches are kept fresh unless somebody says otherwise:
// long enough to bring out a configuration and start every service by hand.
const handover = 15 * time.Minute

func newTopicsGeneration(p *program) *cobra.Command {
	return group("generation", "Lay the events topic out anew", newTopicsGenerationNew(p))
}

func newTopicsGenerationNew(p *program) *cobra.Command {
	var partitions int
	var keep time.Duration
	c := &cobra.Command{
		Use: "new", Short: "Give the events another number of partitions", Args: cobra.NoArgs,
		Long: "Give the events another number of partitions: another topic, that goes on where barriers end the old one. Never alter the\n" +
			"number in place: a subject's next event would stand in another partition than its history. Without --apply it says what\n" +
			"would be done, and what stands in the way (exit code 4).\n\n" +
			"Stop the producers before --apply, and start them with the new topic when it says that this is open. It ends the old log\n" +
			"with barriers, waits until every service has applied and acted on all of it, enters everybody's newest state into the new\n" +
			"log, builds the services' caches beside the live ones, and puts them in their place. Guards are answered all the while, and\n" +
			"learn of the new layout by themselves. It then keeps the new caches fresh until the services, started with the new\n" +
			"settings, take over. Interrupted anywhere, the same command goes on (exit code 5). From the first barrier on there is no\n" +
			"way back. What teams keep beside the states is carried too; their desks must be opened anew. See docs/generation.md.",
	}
	c.Flags().IntVar(&partitions, "partitions", 0, "how many the events are to have")
	c.Flags().DurationVar(&keep, "handover", handover, "how long to keep the new caches fresh for the services to take over; 0: not at all")
	return p.acting(c, func(ctx context.Context, s *session, actor audit.Actor, _ []string) (output.Result, error) {
		if partitions < 1 {
			return nil, exit.Misused("--partitions: say how many")
		}
		if keep < 0 {
			return nil, exit.Misused("--handover: %v is no time to wait", keep)
		}
		plan, created, err := s.planGeneration(ctx, partitions)
		if err != nil {
			return nil, err
		}
		report := &generationReport{Generation: plan, State: statePlanned}
		if len(plan.Refused) > 0 {
			return report, exit.Refuse("%s", plan.Refused[0])
		}
		err = actor.Do(ctx, audit.Act{Command: "topics generation new", Plan: plan}, func(ctx context.Context) (string, error) {
			cfg, end, err := s.generationConfig(ctx, plan, created)
			if err != nil {
				return "", err
			}
			defer end()
			cfg.Handover = keep
			report.Done, err = generation.Run(ctx, cfg)
			if report.State = stateHalfway; err == nil {
				report.State = stateLaidOut
			}
			return fmt.Sprintf("%d steps, %d subjects carried, %d events published again", len(report.Done.Steps), report.Done.Subjects, report.Done.Strays), err
		})
		return report, err
	})
}

const (
	stateLaidOut = "laid out"
	stateHalfway = "partly"
)

// generationConfig opens what the new layout needs. The caller ends it.
func (s *session) generationConfig(ctx context.Context, plan *topics.Generation, created []deploy.Topic) (cfg generation.Config, end func(), err error) {
	cfg = generation.Config{
		Old: layoutOf(plan.From, plan.Old, plan.Partitions), New: layoutOf(plan.To, plan.New, plan.Wanted), Create: created,
		Kafka: s.Kafka, Topics: generation.Topics{Parked: s.Topics.Parked, Receipts: s.Topics.Receipts},
		Progress: s.progress("carry", "subjects"), Logger: s.Logger,
		Tell: func(step string) { fmt.Fprintln(s.ErrOrStderr(), step) },
	}
	if cfg.Services, err = s.Services(ctx); err != nil {
		return cfg, nil, err
	}
	if cfg.Admin, err = s.Admin(); err != nil {
		return cfg, nil, err
	}
	client, err := s.Redis()
	if err != nil {
		return cfg, nil, err
	}
	cfg.Open = func(ctx context.Context, live, next cache.Layout) (*cache.Successor, error) {
		return cache.OpenSuccessor(ctx, client, live, next)
	}
	cfg.Kept = kept(client)
	if cfg.Publisher, err = s.Producer(); err != nil {
		return cfg, nil, err
	}
	if cfg.Rules, err = s.Rules(ctx); err != nil {
		return cfg, nil, err
	}
	if cfg.Parked, err = s.openDesk(cfg.New, cfg.Rules); err != nil {
		return cfg, nil, err
	}
	published, err := policyfeed.New(policyfeed.Config{Kafka: s.Kafka, Topic: s.Topics.Policies, Logger: s.Logger})
	if err != nil {
		return cfg, nil, err
	}
	cfg.Policy = published
	ctx, cancel := context.WithCancel(ctx)
	var following sync.WaitGroup
	following.Go(func() { _ = published.Run(ctx) }) // it returns when the context ends
	return cfg, func() {
		cancel()
		following.Wait()
	}, nil
}

// kept moves what services keep beside the states.
func kept(client redis.UniversalClient) map[string]func(context.Context, []consumers.Slot, []consumers.Slot) (int, error) {
	all := make(map[string]func(context.Context, []consumers.Slot, []consumers.Slot) (int, error))
	for name, carry := range map[string]func(context.Context, redis.UniversalClient, []consumers.Slot, []consumers.Slot) (int, error){
		marketing.Name: marketing.Carry, targeting.Name: targeting.Carry, affiliate.Name: affiliate.Carry, policy.Name: policy.Carry,
	} {
		all[name] = func(ctx context.Context, from, to []consumers.Slot) (int, error) { return carry(ctx, client, from, to) }
	}
	return all
}

// generationReport is the plan, and what was done of it.
type generationReport struct {
	*topics.Generation
	State string             `json:"state"`
	Done  *generation.Report `json:"done,omitempty"`
}

// Text implements [output.Result].
func (r *generationReport) Text(w io.Writer) {
	fmt.Fprintf(w, "generation %d to %d: %s with %d partitions, then %s with %d\nmoves: %s\n",
		r.From, r.To, r.Old, r.Partitions, r.New, r.Wanted, r.Moving)
	if r.State == statePlanned {
		for _, p := range slices.Sorted(maps.Keys(r.Ends)) {
			fmt.Fprintf(w, "partition %d ends at %d\n", p, r.Ends[p])
		}
	}
	for _, why := range r.Refused {
		fmt.Fprintln(w, "in the way:", why)
	}
	switch {
	case len(r.Refused) > 0:
	case r.State == statePlanned && r.Begun:
		fmt.Fprintln(w, "it is begun, and there is no way back: say --apply to go on")
	case r.State == statePlanned:
		fmt.Fprintln(w, "stop the producers, then say --apply; from the first barrier on there is no way back")
	case r.State == stateLaidOut:
		r.rest(w)
	}
}

// rest says what is left to do for others.
func (r *generationReport) rest(w io.Writer) {
	fmt.Fprintf(w, "%d steps done, %d subjects carried, %d events published again\n", len(r.Done.Steps), r.Done.Subjects, r.Done.Strays)
	fmt.Fprintf(w, "producers write to %s from now on\n", r.New)
	for _, name := range r.Done.Waiting {
		fmt.Fprintf(w, "%s is to be started with generation %d: until then its guards deny as stale\n", name, r.To)
	}
}
