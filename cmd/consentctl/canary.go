package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/cmd/internal/roles"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/oncall/audit"
	"github.com/kelisim/kelisim/internal/oncall/canary"
	"github.com/kelisim/kelisim/internal/oncall/doctor"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
)

// canaryFlags say who flies, and for how long.
type canaryFlags struct {
	once          bool
	lasting       time.Duration
	every, within time.Duration
	name, purpose string
	metrics       string
	services      []string
}

// clearTimeout is what erasing the canaries gets beside the bound, also after a
// signal: they must not stay.
const clearTimeout = 5 * time.Second

func newCanary(p *program) *cobra.Command {
	var f canaryFlags
	var who actFlags
	c := &cobra.Command{
		Use: "canary", Short: "Let synthetic subjects grant and withdraw, and measure how fast guards deny", Args: cobra.NoArgs,
		Long: "Let synthetic subjects, one for each partition, grant and withdraw through the real path, and measure from the acknowledged\n" +
			"withdrawal to the first denial of each service's guard. Their ids begin with \"" + events.CanaryPrefix + "\"; services fold them and act on\n" +
			"none. At the end they are erased. Runs until a signal, or --for, or --once. Exit code 3 when a canary was late, was allowed\n" +
			"again, was not seen, or was not let in. They write to the log: the run is recorded, and on a protected context --confirm\n" +
			"names it.",
	}
	var all []string
	for _, role := range roles.Asked() {
		all = append(all, role.Name)
	}
	flags := c.Flags()
	flags.BoolVar(&f.once, "once", false, "fly one round")
	flags.DurationVar(&f.lasting, "for", 0, "how long to fly; 0 is until a signal")
	flags.DurationVar(&f.every, "every", 10*time.Second, "time from round to round")
	flags.DurationVar(&f.within, "within", canary.DefaultWithin, "what a stop may take")
	flags.StringVar(&f.name, "name", "home", "name of the flock: two that fly at once have two names")
	flags.StringVar(&f.purpose, "purpose", string(canary.DefaultPurpose), "what canaries consent to")
	flags.StringVar(&f.metrics, "metrics", "", "loopback address to serve /metrics on, as in 127.0.0.1:9465")
	flags.StringSliceVar(&f.services, "service", all, "services whose guards are asked")
	who.addSmall(c)
	return p.reading(c, func(ctx context.Context, s *session, _ []string) (output.Result, error) {
		if f.once && f.lasting > 0 {
			return nil, exit.Misused("--once and --for: one of them")
		}
		if f.every <= 0 {
			return nil, exit.Misused("--every: want more than nothing")
		}
		recorder, err := s.small(&who, "canaries fly")
		if err != nil {
			return nil, err
		}
		flock, err := s.flock(ctx, &f)
		if err != nil {
			return nil, err
		}
		count, err := s.serveMetrics(ctx, f.metrics)
		if err != nil {
			return nil, err
		}
		report := &canaryReport{Within: f.within}
		err = recorder.Do(ctx, audit.Act{Command: "canary", Plan: f.name}, func(ctx context.Context) (string, error) {
			err := s.fly(ctx, flock, &f, func(flights []canary.Flight, failed bool) {
				report.Add(flights, failed)
				count(flights, failed)
			})
			report.Left = s.clear(ctx, flock, f.within)
			return counted(report.Rounds, "round"), err
		})
		switch {
		case err != nil:
			return report, err
		case !report.Well():
			return report, exit.ErrFindings
		}
		return report, report.Left
	})
}

// fly flies rounds for as long as asked, and gives each to add.
func (s *session) fly(ctx context.Context, flock *canary.Flock, f *canaryFlags, add func([]canary.Flight, bool)) error {
	ending, cancel := ctx, context.CancelFunc(func() {})
	if f.lasting > 0 {
		ending, cancel = context.WithTimeout(ctx, f.lasting)
	}
	defer cancel()
	tick := time.NewTicker(f.every)
	defer tick.Stop()
	for {
		flights, err := flock.Fly(ctx)
		if ctx.Err() != nil { // of this round nothing is known
			break
		}
		if err != nil {
			s.Logger.Error("canaries did not fly", "err", err)
		}
		for _, flight := range flights {
			if flight.Fault != "" {
				s.Logger.Error("canary found a fault", "fault", flight.Fault, "service", flight.Service, "partition", flight.Partition,
					"stopped", flight.Stopped, "answer", flight.Answer)
			}
		}
		add(flights, err != nil)
		if f.once {
			return nil
		}
		select {
		case <-tick.C:
		case <-ending.Done():
		}
		if ending.Err() != nil {
			break
		}
	}
	if f.once || f.lasting > 0 {
		return ctx.Err() // a signal cut it short
	}
	return nil // a signal is how it ends
}

// clear erases the canaries, also after a signal.
func (s *session) clear(ctx context.Context, flock *canary.Flock, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within+clearTimeout)
	defer cancel()
	return flock.Clear(ctx)
}

// flock makes the canaries, with a guard for each service.
func (s *session) flock(ctx context.Context, f *canaryFlags) (*canary.Flock, error) {
	rules, err := s.Rules(ctx)
	if err != nil {
		return nil, err
	}
	book, err := s.Book(ctx)
	if err != nil {
		return nil, err
	}
	policy := events.SeedPolicy
	if now, inForce := book.Current(time.Now()); inForce {
		policy = now.Version
	}
	admin, err := s.Admin()
	if err != nil {
		return nil, err
	}
	n, err := admin.Partitions(ctx, s.Topics.Events)
	if err != nil {
		return nil, err
	}
	client, err := s.Redis()
	if err != nil {
		return nil, err
	}
	guards := make(map[string]guard.Checker)
	for _, service := range f.services {
		guards[service] = guard.New(client, service)
	}
	producer, err := s.Producer()
	if err != nil {
		return nil, err
	}
	return canary.New(canary.Config{
		Publisher: producer, Topic: s.Topics.Events, Generation: s.Generation, Partitions: int32(n),
		Rules: rules, Policy: policy, Purpose: events.Purpose(f.purpose), Guards: guards, Name: f.name, Within: f.within,
	})
}

// probe flies one round for the doctor.
func (s *session) probe(ctx context.Context, services []string) (doctor.Probe, error) {
	f := canaryFlags{within: canary.DefaultWithin, name: "doctor", purpose: string(canary.DefaultPurpose), services: services}
	flock, err := s.flock(ctx, &f)
	if err != nil {
		return doctor.Probe{}, err
	}
	producer, err := s.Producer()
	if err != nil {
		return doctor.Probe{}, err
	}
	flights, err := flock.Fly(ctx)
	return doctor.Probe{Flights: flights, Clock: producer.Clock()}, errors.Join(err, s.clear(ctx, flock, f.within))
}

// serveMetrics serves them until ctx ends, if an address was given. It takes
// loopback addresses alone: there is no authentication.
func (s *session) serveMetrics(ctx context.Context, addr string) (count func([]canary.Flight, bool), err error) {
	if addr == "" {
		return func([]canary.Flight, bool) {}, nil
	}
	registry := daemon.NewRegistry()
	metrics := canary.NewMetrics(registry)
	port, err := daemon.ListenAdmin(ctx, daemon.AdminOptions{Config: daemon.Admin{Addr: addr}, Metrics: registry, Logger: s.Logger})
	if err != nil {
		return nil, exit.Misused("--metrics: %w", err)
	}
	fmt.Fprintf(s.ErrOrStderr(), "metrics on http://%s/metrics\n", port.Addr())
	go func() {
		if err := port.Run(ctx); err != nil && ctx.Err() == nil {
			s.Logger.Error("metrics are no longer served", "err", err)
		}
	}()
	return metrics.Add, nil
}

type canaryReport struct {
	Within time.Duration `json:"within"` // in nanoseconds
	canary.Summary
	Left error `json:"-"` // why canaries may be left
}

// Text implements [output.Result].
func (r *canaryReport) Text(w io.Writer) {
	output.Columns(w, []string{"SERVICE", "FLIGHTS", "FAULTS", "P50", "P99", "MAX"}, func(yield func([]string) bool) {
		for _, s := range r.Services {
			ms := func(d time.Duration) string { return strconv.FormatFloat(d.Seconds()*1000, 'f', 1, 64) + "ms" }
			if !yield([]string{s.Service, fmt.Sprint(s.Flights), fmt.Sprint(s.Faults), ms(s.P50), ms(s.P99), ms(s.Max)}) {
				return
			}
		}
	})
	for _, f := range r.Faults {
		fmt.Fprintf(w, "%s/%d %s: %s\n", f.Service, f.Partition, f.Fault, f.Answer)
	}
	if r.Failed > 0 {
		fmt.Fprintf(w, "in %d of %d rounds something could not be published\n", r.Failed, r.Rounds)
	}
	fmt.Fprintln(w, cmp.Or(r.left(), "nothing is left behind"))
}

func (r *canaryReport) left() string {
	if r.Left == nil {
		return ""
	}
	return fmt.Sprintf("canaries may be left: %v; run it again with --once to erase them", r.Left)
}

// Parts implements [output.Many].
func (r *canaryReport) Parts() iter.Seq[any] {
	return func(yield func(any) bool) {
		for _, s := range r.Services {
			if !yield(s) {
				return
			}
		}
	}
}
