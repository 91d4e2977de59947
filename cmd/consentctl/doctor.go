package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/cmd/internal/roles"
	"github.com/kelisim/kelisim/consumers/policy"
	"github.com/kelisim/kelisim/consumers/snapshots"
	"github.com/kelisim/kelisim/internal/oncall/audit"
	"github.com/kelisim/kelisim/internal/oncall/doctor"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
)

// doctorFlags say what to look at.
type doctorFlags struct {
	only, skip, services, operators []string
	sample                          int
	canary                          bool
}

func newDoctor(p *program) *cobra.Command {
	var f doctorFlags
	var who actFlags
	var names []string
	for _, check := range doctor.Checks() {
		names = append(names, check.Name)
	}
	c := &cobra.Command{
		Use: "doctor", Short: "Find what kills the pipeline silently, each finding with its fix", Args: cobra.NoArgs,
		Long: "Find what kills the pipeline silently: settings, partitioners, clocks, keys, access, services that run and do not apply.\n" +
			"Every finding comes with its fix. What cannot be looked at is a finding too, \"unknown\". Exit code 3 when there is any.\n" +
			"Nothing is changed and no subject is shown. docs/doctor.md explains the checks:\n\n  " + strings.Join(names, ", "),
	}
	var all []string
	for _, role := range roles.All() {
		all = append(all, role.Name)
	}
	flags := c.Flags()
	flags.StringSliceVar(&f.only, "only", nil, "run only these checks")
	flags.StringSliceVar(&f.skip, "skip", nil, "leave these checks out")
	flags.StringSliceVar(&f.services, "service", all, "services that have to be there")
	flags.StringSliceVar(&f.operators, "operator-principal", nil, "principals that administer topics by right, as in User:ops")
	flags.IntVar(&f.sample, "sample", doctor.DefaultSample, "how many of the newest records of each partition to read")
	flags.BoolVar(&f.canary, "canary", false, "also send a canary to every partition: it writes to the log, and erases the canaries")
	who.addSmall(c)
	for _, name := range []string{"only", "skip"} {
		_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	}
	return p.reading(c, func(ctx context.Context, s *session, _ []string) (output.Result, error) {
		checks, err := f.checks(names)
		if err != nil {
			return nil, err
		}
		env, err := s.patient(ctx, &f)
		if err != nil {
			return nil, err
		}
		report := doctorReport{Looked: time.Now().UTC(), Checks: len(checks)}
		look := func(ctx context.Context) (string, error) {
			report.Findings = doctor.Run(ctx, env, checks)
			return counted(len(report.Findings), "finding"), nil
		}
		if !f.canary {
			_, _ = look(ctx)
		} else if recorder, err := s.small(&who, "the doctor's canaries fly"); err != nil {
			return nil, err
		} else if err := recorder.Do(ctx, audit.Act{Command: "doctor --canary", Plan: f.services}, look); err != nil {
			return nil, err
		}
		switch {
		case ctx.Err() != nil:
			return report, ctx.Err()
		case doctor.Faults(report.Findings) > 0:
			return report, exit.ErrFindings
		}
		return report, nil
	})
}

// checks returns those that were asked for.
func (f *doctorFlags) checks(names []string) ([]doctor.Check, error) {
	for _, name := range slices.Concat(f.only, f.skip) {
		if !slices.Contains(names, name) {
			return nil, exit.Misused("no check %s: there are %s", name, strings.Join(names, ", "))
		}
	}
	return slices.DeleteFunc(doctor.Checks(), func(c doctor.Check) bool {
		return len(f.only) > 0 && !slices.Contains(f.only, c.Name) || slices.Contains(f.skip, c.Name)
	}), nil
}

// patient is what the doctor looks at.
func (s *session) patient(ctx context.Context, f *doctorFlags) (*doctor.Env, error) {
	layout, err := s.layout(ctx)
	if err != nil {
		return nil, err
	}
	_, cfg, _, err := s.program.load(s.Command)
	if err != nil {
		return nil, err
	}
	kafka, err := roles.TLSOf(cfg.Kafka.TLS)
	if err != nil {
		return nil, fmt.Errorf("kafka.tls: %w", err)
	}
	redis, err := roles.TLSOf(cfg.Redis.TLS)
	if err != nil {
		return nil, fmt.Errorf("redis.tls: %w", err)
	}
	env := &doctor.Env{
		Cluster: s.Cluster, Layout: layout, Names: topicNames(cfg), Operators: f.operators, Sample: f.sample,
		Links: []doctor.Link{{Name: "kafka", Addrs: cfg.Kafka.Brokers, TLS: kafka}, {Name: "redis", Addrs: cfg.Redis.Addrs, TLS: redis}},
	}
	for _, name := range f.services {
		env.Services = append(env.Services, doctor.Service{
			Name: name, Group: roles.GroupOf(name, s.Generation), Decides: name == policy.Name, Unasked: name == snapshots.Name,
		})
	}
	if f.canary {
		asked := slices.DeleteFunc(slices.Clone(f.services), func(name string) bool {
			return !slices.ContainsFunc(roles.Asked(), func(r roles.Role) bool { return r.Name == name })
		})
		env.Canary = func(ctx context.Context) (doctor.Probe, error) { return s.probe(ctx, asked) }
	}
	return env, nil
}

type doctorReport struct {
	Looked   time.Time        `json:"looked"`
	Checks   int              `json:"checks"`
	Findings []doctor.Finding `json:"findings"`
}

// Text implements [output.Result].
func (r doctorReport) Text(w io.Writer) {
	if len(r.Findings) == 0 {
		fmt.Fprintf(w, "%d checks found nothing\n", r.Checks)
		return
	}
	for _, f := range r.Findings {
		fmt.Fprintf(w, "%-8s  %s: %s: %s\n%-8s  fix: %s\n", f.Severity, f.Check, f.Object, f.Found, "", f.Fix)
	}
	fmt.Fprintf(w, "%d checks found %d things\n", r.Checks, len(r.Findings))
}

// Parts implements [output.Many].
func (r doctorReport) Parts() iter.Seq[any] {
	return func(yield func(any) bool) {
		for _, f := range r.Findings {
			if !yield(f) {
				return
			}
		}
	}
}
