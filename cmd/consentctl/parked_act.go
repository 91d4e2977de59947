package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kelisim/kelisim/internal/oncall/audit"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
	"github.com/kelisim/kelisim/internal/oncall/parked"
	"github.com/kelisim/kelisim/internal/oncall/publish"
)

func newParkedRedrive(p *program) *cobra.Command {
	var f parkedFlags
	var all, force bool
	var perSecond float64
	var wait time.Duration
	var with string
	var permit parked.Permit
	c := &cobra.Command{
		Use: "redrive [POSITION...]", Short: "Publish parked events again, each once",
		Long: "Publish parked events again: one, those that the flags choose, or all. Each is published once, however many services parked\n" +
			"it, with its id, source, key, headers and bytes as they were, and with its first place in the order. What would be parked\n" +
			"again is refused (exit code 4), and what was redriven already is skipped. Done again after an interruption it goes on.\n\n" +
			"--with FILE redrives one with corrected bytes: a CloudEvent in JSON of the same subject, id, source and type. The record\n" +
			"of the act holds the hashes of both. A correction that may allow something needs a second operator.",
	}
	f.add(c)
	flags := c.Flags()
	flags.BoolVar(&all, "all", false, "all that is open")
	flags.BoolVar(&force, "force", false, "also what would be parked again, and what was dismissed")
	flags.StringVar(&with, "with", "", "redrive one event with the corrected bytes of this file, a CloudEvent in JSON")
	permitFlags(flags, &permit.Grants, &permit.Second)
	flags.Float64Var(&perSecond, "rate", 100, "events a second; 0 is no limit")
	flags.DurationVar(&wait, "wait", 30*time.Second, "how long to wait until the services have applied them")
	return p.acting(c, func(ctx context.Context, s *session, actor audit.Actor, args []string) (output.Result, error) {
		permit.Operator = actor.By().Operator
		d, err := s.desk(ctx, permit.Operator)
		if err != nil {
			return nil, err
		}
		cases, err := f.mustChoose(ctx, d, args, all)
		if err != nil {
			return nil, err
		}
		plan, err := s.planRedrive(ctx, d, cases, with, force, actor.By().Reason)
		if err != nil {
			return nil, err
		}
		if n := plan.Count(parked.Publish) + plan.Count(parked.Note); n > 0 {
			act := audit.Act{Command: "parked redrive", Plan: plan, Approver: permit.Second, Forbidden: plan.Permit(permit)}
			err = actor.Do(ctx, act, func(ctx context.Context) (string, error) {
				shown := s.progress("redrive", "events")
				shown.Start(map[int32]int64{0: int64(n)})
				defer shown.Done()
				done := 0
				err := d.Apply(ctx, plan, perSecond, func(*parked.Item) { done++; shown.Add(0, 1) })
				if err == nil && wait > 0 {
					err = awaitApplied(ctx, d, plan, wait)
				}
				return counted(done, "event") + " redriven" + corrections(plan), err
			})
		}
		if refused := plan.Count(parked.Refuse); err == nil && refused > 0 {
			err = exit.Refuse("%s; --force publishes them all the same", counted(refused, "event"))
		}
		return plan, err
	})
}

// planRedrive plans with the corrected bytes of a file, where there is one.
func (s *session) planRedrive(ctx context.Context, d *parked.Desk, cases []*parked.Case, with string, force bool, reason string) (*parked.Redrive, error) {
	if with == "" {
		return d.PlanRedrive(ctx, cases, reason, force)
	}
	if len(cases) != 1 {
		return nil, exit.Misused("--with is for one event, and %s were chosen", counted(len(cases), "event"))
	}
	text, err := os.ReadFile(with)
	if err != nil {
		return nil, err
	}
	given, err := publish.Read(bytes.NewReader(text))
	if err != nil || len(given) != 1 {
		return nil, exit.Misused("%s: want one CloudEvent in JSON", with)
	}
	checker, err := publish.NewChecker(d.Rules)
	if err != nil {
		return nil, err
	}
	draft := checker.Check(1, given[0])
	if len(draft.Faults) > 0 {
		return nil, exit.Misused("%s: %v", with, draft.Faults)
	}
	return d.PlanCorrected(ctx, cases[0], draft.Message(), reason, force)
}

// corrections says, for the record, what was put in the place of what.
func corrections(plan *parked.Redrive) (text string) {
	for _, c := range plan.Corrections() {
		text += fmt.Sprintf("; corrected: was sha256:%s, is sha256:%s", c.Was, c.Is)
	}
	return text
}

func awaitApplied(ctx context.Context, d *parked.Desk, plan *parked.Redrive, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return d.Await(ctx, plan)
}

func newParkedDismiss(p *program) *cobra.Command {
	var f parkedFlags
	var permit parked.Permit
	all := false
	c := &cobra.Command{
		Use: "dismiss [POSITION...]", Short: "Say that nothing will come of parked events, and release whom they hold",
		Long: "Say that nothing will come of parked events. What they hold is released in every service, for good. A restriction that is\n" +
			"dismissed is lost: make sure that the person's will is in the log in another form. Where somebody would be allowed\n" +
			"something that the hold denies, --permit-grants and a second operator are needed.",
	}
	f.add(c)
	permitFlags(c.Flags(), &permit.Grants, &permit.Second)
	c.Flags().BoolVar(&all, "all", false, "all that is open")
	return p.acting(c, func(ctx context.Context, s *session, actor audit.Actor, args []string) (output.Result, error) {
		permit.Operator = actor.By().Operator
		d, err := s.desk(ctx, permit.Operator)
		if err != nil {
			return nil, err
		}
		cases, err := f.mustChoose(ctx, d, args, all)
		if err != nil {
			return nil, err
		}
		plan, err := d.PlanDismissal(ctx, cases, actor.By().Reason)
		if err != nil || len(plan.Items) == 0 {
			return orNil(plan, err)
		}
		act := audit.Act{Command: "parked dismiss", Plan: plan, Approver: permit.Second, Forbidden: plan.Permit(permit)}
		return plan, actor.Do(ctx, act, func(ctx context.Context) (string, error) {
			return counted(len(plan.Items), "event") + " dismissed", d.Dismiss(ctx, plan)
		})
	})
}

// permitFlags are those by which two people let something be allowed.
func permitFlags(flags *pflag.FlagSet, grants *bool, second *string) {
	flags.BoolVar(grants, "permit-grants", false, "may allow what is denied now; needs a second operator")
	flags.StringVar(second, "second-operator", "", "who agrees to that, for the record: another person")
}
