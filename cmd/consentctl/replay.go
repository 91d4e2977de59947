package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/audit"
	"github.com/kelisim/kelisim/internal/oncall/basis"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/logread"
	"github.com/kelisim/kelisim/internal/oncall/output"
	"github.com/kelisim/kelisim/internal/oncall/record"
	"github.com/kelisim/kelisim/internal/oncall/replay"
)

func newReplay(p *program) *cobra.Command {
	return group("replay", "Repair what services hold from a range of the log, while everything runs",
		newReplayPlan(p), newReplayRun(p))
}

// bench is what a replay works with: the caches of the named services, or of all.
func (s *session) replayBench(ctx context.Context, services []string) (*replay.Bench, error) {
	log, err := logread.New(s.Kafka)
	if err != nil {
		return nil, err
	}
	rules, err := s.Rules(ctx)
	if err != nil {
		return nil, err
	}
	caches, partitions, err := s.menders(ctx, services...)
	if err != nil {
		return nil, err
	}
	b := &replay.Bench{
		Log: log, Topic: s.Topics.Events, Generation: s.Generation, Partitions: partitions,
		Rules: rules, Decoder: cloudevent.Decoder{Rules: rules}, Caches: make(map[string]replay.Cache, len(caches)),
	}
	for service, m := range caches {
		b.Caches[service] = m
	}
	b.State = s.Topics.State
	b.Witnesses, err = s.witnesses(ctx)
	return b, err
}

// witnesses are the caches of all services that fold this log: whoever of them may
// bear the snapshots out.
func (s *session) witnesses(ctx context.Context) (all []basis.Spots, err error) {
	layouts, err := s.Services(ctx)
	if err != nil {
		return nil, err
	}
	client, err := s.Redis()
	if err != nil {
		return nil, err
	}
	for _, l := range layouts {
		if l.Topic == s.Topics.Events && l.Generation == s.Generation {
			all = append(all, cache.NewInspector(client, l))
		}
	}
	return all, nil
}

// selectionFlags choose records of the log.
type selectionFlags struct {
	windowFlags
	types, sources []string
	filter         string
}

func (f *selectionFlags) add(c *cobra.Command) {
	f.windowFlags.add(c)
	flags := c.Flags()
	flags.StringSliceVar(&f.types, "type", nil, "only of these types, as in consent.withdrawn")
	flags.StringSliceVar(&f.sources, "source", nil, "only of these CloudEvents sources")
	flags.StringVar(&f.filter, "filter", "", "only events that this CESQL expression is true of; it may not look at the subject")
}

func (f *selectionFlags) selection() (replay.Selection, error) {
	w, err := f.window()
	s := replay.Selection{Window: w}
	if err != nil {
		return s, err
	}
	for _, name := range f.types {
		t := events.ParseType(record.FullType(name))
		if t == 0 {
			return s, exit.Misused("--type: %q is unknown", name)
		}
		s.Types = append(s.Types, t)
	}
	s.Sources = f.sources
	if f.filter != "" {
		if s.Filter, err = replay.ParseFilter(f.filter); err != nil {
			return s, exit.Misused("--filter: %w", err)
		}
	}
	return s, nil
}

func newReplayPlan(p *program) *cobra.Command {
	var f selectionFlags
	var wish replay.Wish
	var services []string
	var file string
	var perSecond float64
	c := &cobra.Command{
		Use: "plan", Short: "Say what replaying a range would change, and write the plan", Args: cobra.NoArgs,
		Long: "Say what replaying a range of the log would change in the services' caches, and write that plan to a file. The whole\n" +
			"history of every subject of the range is folded and compared with what each service holds. Nothing is changed, no group is\n" +
			"joined and no offset moved. Exits with 3 when something would change, or a service has no cache.",
	}
	f.add(c)
	flags := c.Flags()
	flags.StringSliceVar(&services, "service", nil, "only these services' caches")
	flags.StringVar(&file, "file", "", "where to write the plan; the file must not exist (replay-TIME.json)")
	flags.BoolVar(&wish.OnlyDeny, "only-deny", false, "leave out what would allow anything")
	flags.BoolVar(&wish.Act, "act", false, "have the services act on what is repaired; without, only their answers change")
	flags.Float64Var(&perSecond, "rate", 0, "records read a second; 0 is no limit")
	return p.reading(c, func(ctx context.Context, s *session, _ []string) (output.Result, error) {
		now := time.Now().UTC()
		sel, err := f.selection()
		if err != nil {
			return nil, err
		}
		file := cmp.Or(file, "replay-"+now.Format("20060102T150405Z")+".json")
		if err := replay.MayWrite(file); err != nil {
			return nil, err
		}
		b, err := s.replayBench(ctx, services)
		if err != nil {
			return nil, err
		}
		b.Progress, b.Pace = s.progress("plan", "records"), perSecond
		plan, err := b.NewPlan(ctx, sel, wish)
		if err != nil {
			return nil, err
		}
		if err := plan.Save(file); err != nil {
			return nil, err
		}
		missing, err := s.missing(ctx, services)
		if err != nil {
			return nil, err
		}
		output.Missing(s.ErrOrStderr(), missing)
		switch {
		case plan.Empty() && plan.Whole():
			return plan, found(missing, nil)
		case plan.Empty():
			return plan, exit.ErrFindings
		}
		fmt.Fprintf(s.ErrOrStderr(), "to carry it out: consentctl replay run %s --apply --reason …\n", file)
		return plan, exit.ErrFindings
	})
}

func newReplayRun(p *program) *cobra.Command {
	var o replay.Orders
	var perSecond float64
	var pause string
	c := &cobra.Command{
		Use: "run PLAN", Short: "Carry out exactly a plan, or refuse because the world moved", Args: cobra.ExactArgs(1),
		Long: "Carry out exactly what a plan says, or refuse because the world moved (exit code 4): another cluster, topic or layout, other\n" +
			"records in the range, a cache that lost its position, a state that something else wrote. Subjects of whom events came since\n" +
			"are left out and need a new plan (exit code 5). The services go on meanwhile. After Ctrl-C the same command goes on; every\n" +
			"subject is looked at once more behind it all.",
	}
	flags := c.Flags()
	permitFlags(flags, &o.PermitGrants, &o.SecondOperator)
	flags.Float64Var(&perSecond, "rate", 0, "records read, and states written, a second; 0 is no limit")
	flags.StringVar(&pause, "pause-file", "", "wait while this file is there")
	flags.StringVar(&o.Checkpoint, "checkpoint", "", "file that says how far it is (PLAN.checkpoint)")
	return p.acting(c, func(ctx context.Context, s *session, actor audit.Actor, args []string) (output.Result, error) {
		plan, err := replay.Load(args[0])
		if err != nil {
			return nil, err
		}
		o.Operator = actor.By().Operator
		o.Checkpoint = cmp.Or(o.Checkpoint, args[0]+".checkpoint")
		var services []string
		for i := range plan.Services {
			services = append(services, plan.Services[i].Service)
		}
		b, err := s.replayBench(ctx, services)
		if err != nil {
			return nil, err
		}
		b.Progress, b.Pace = s.progress("check", "records"), perSecond
		if pause != "" {
			b.Hold = func(ctx context.Context) error { return held(ctx, pause) }
		}
		work, err := b.Check(ctx, plan, o)
		if err != nil {
			return nil, err
		}
		defer work.Close()
		var result output.Result = work.Expect()
		act := audit.Act{Command: "replay run", Plan: plan.Bare(), Approver: o.SecondOperator}
		err = actor.Do(ctx, act, func(ctx context.Context) (string, error) {
			b.Progress = s.progress("replay", "subjects")
			report, err := work.Do(ctx)
			if report == nil {
				return "", err
			}
			result = report
			all := report.Total()
			return fmt.Sprintf("repaired %d, right already %d, moved on %d", all.Mended, all.Settled, all.MovedOn), err
		})
		return result, err
	})
}

// pauseLook is how often a paused replay looks whether it may go on.
const pauseLook = 200 * time.Millisecond

// held returns when the file is not there, or no longer.
func held(ctx context.Context, file string) error {
	for {
		_, err := os.Stat(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("pause file: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pauseLook):
		}
	}
}
