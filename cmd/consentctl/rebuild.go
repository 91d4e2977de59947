package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/audit"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
	"github.com/kelisim/kelisim/internal/oncall/rebuild"
)

func newRebuild(p *program) *cobra.Command {
	var partitions []int32
	var fromLog, fromRemains bool
	var permit rebuild.Permit
	c := &cobra.Command{
		Use: "rebuild SERVICE", Short: "Build a service's cache anew and put it in place of the live one", Args: cobra.ExactArgs(1),
		Long: "Build a service's cache anew: from the snapshots of the state topic and the log behind them, or from the whole log where\n" +
			"there are none or no other cache's digest bears them out. It is built beside the live cache, while service and guards go\n" +
			"on, and compared with it. Without --apply that is all, and what was built is removed again; exit code 3 says that something\n" +
			"would change, or is not verified. With --apply each partition is swapped at one moment: guards see the old whole or the new\n" +
			"whole. Refused is what no other service's cache bears out, or one contradicts, and a log that has lost its beginning where\n" +
			"snapshots do not stand in. Redis needs room for both. The service then acts on every subject that changed.",
	}
	flags := c.Flags()
	flags.Int32SliceVar(&partitions, "partitions", nil, "only these")
	flags.BoolVar(&fromLog, "from-log", false, "from the whole log, whatever snapshots there are")
	flags.BoolVar(&fromRemains, "from-remains", false, "also from what is left of a log that has lost its beginning: what only stood there is lost")
	flags.BoolVar(&permit.Unverified, "unverified", false, "swap also what no other cache bears out, or one contradicts; needs a second operator")
	flags.BoolVar(&permit.Grants, "permit-grants", false, "may allow what is denied now; needs --expect-allow and a second operator")
	flags.Int64Var(&permit.ExpectAllow, "expect-allow", 0, "how many subjects it may allow what is denied now: as many as the plan that was looked at")
	flags.StringVar(&permit.Second, "second-operator", "", "who agrees to that, for the record: another person")
	return p.acting(c, func(ctx context.Context, s *session, actor audit.Actor, args []string) (output.Result, error) {
		cfg, err := s.rebuildConfig(ctx, args[0])
		if err != nil {
			return nil, err
		}
		cfg.FromLog, cfg.Remains, cfg.Unverified = fromLog, fromRemains, permit.Unverified
		cfg.Progress = s.progress("rebuild", "events")
		r, err := rebuild.Prepare(ctx, cfg, partitions...)
		if err != nil {
			return nil, err
		}
		defer func() { _ = r.Close(context.WithoutCancel(ctx)) }() // what is left the next rebuild removes
		plan := r.Plan()
		permit.Operator = actor.By().Operator
		act := audit.Act{Command: "rebuild", Plan: plan, Approver: permit.Second, Forbidden: plan.Refuse(permit)}
		err = actor.Do(ctx, act, func(ctx context.Context) (string, error) {
			err := r.Swap(ctx)
			return fmt.Sprintf("swapped %d of %d partitions of %s: denied %d, allowed %d, otherwise changed %d",
				plan.Swapped(), len(plan.Partitions), plan.Service, plan.WouldDeny, plan.WouldAllow, plan.Otherwise), err
		})
		if err == nil && plan.Swapped() == 0 && plan.Finds() {
			err = exit.ErrFindings
		}
		return plan, err
	})
}

// rebuildConfig opens what the rebuild of a service needs.
func (s *session) rebuildConfig(ctx context.Context, service string) (rebuild.Config, error) {
	var none rebuild.Config
	all, err := s.Services(ctx)
	if err != nil {
		return none, err
	}
	own, err := s.Services(ctx, service)
	if err != nil {
		return none, err
	}
	if err := s.FoldedHere(ctx, all); err != nil {
		return none, err
	}
	live := own[0]
	if live.Topic != s.Topics.Events {
		return none, exit.Refuse("%s is folded from %s, and topics.events is %s", service, live.Topic, s.Topics.Events)
	}
	client, err := s.Redis()
	if err != nil {
		return none, err
	}
	rules, err := s.Rules(ctx)
	if err != nil {
		return none, err
	}
	staging, err := cache.OpenStaging(ctx, client, live)
	if err != nil {
		return none, err
	}
	cfg := rebuild.Config{
		Staging: staging, Live: cache.NewInspector(client, live), Kafka: s.Kafka, Events: s.Topics.Events, State: s.Topics.State,
		Rules: rules, Logger: s.Logger,
	}
	for _, other := range all {
		if other.Service != service && other.Topic == live.Topic && other.Generation == live.Generation && other.Partitions == live.Partitions {
			cfg.Witnesses = append(cfg.Witnesses, cache.NewInspector(client, other))
		}
	}
	return cfg, nil
}
