package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/logread"
	"github.com/kelisim/kelisim/internal/oncall/moment"
	"github.com/kelisim/kelisim/internal/oncall/parked"
)

func newParked(p *program) *cobra.Command {
	return group("parked", "Look after events that no service could apply",
		newParkedList(p), newParkedShow(p), newParkedRedrive(p), newParkedDismiss(p))
}

// desk is where parked events are looked after: over the caches of every service,
// since each has parked, and holds, for itself.
func (s *session) desk(ctx context.Context, operator string) (*parked.Desk, error) {
	log, err := logread.New(s.Kafka)
	if err != nil {
		return nil, err
	}
	producer, err := s.Producer()
	if err != nil {
		return nil, err
	}
	rules, err := s.Rules(ctx)
	if err != nil {
		return nil, err
	}
	caches, partitions, err := s.menders(ctx)
	if err != nil {
		return nil, err
	}
	d := &parked.Desk{
		Log: log, Publisher: producer, Rules: rules, Decoder: cloudevent.Decoder{Rules: rules}, Operator: operator,
		Topics: parked.Topics{Events: s.Topics.Events, Parked: s.Topics.Parked, Generation: s.Generation, Partitions: partitions},
		Caches: make(map[string]parked.Cache, len(caches)),
	}
	for service, m := range caches {
		d.Caches[service] = m
	}
	return d, nil
}

// menders opens the caches of services, of all when none is named, and tells how
// many partitions the events have.
func (s *session) menders(ctx context.Context, services ...string) (map[string]*cache.Mender, int32, error) {
	layouts, err := s.Services(ctx, services...)
	if err != nil {
		return nil, 0, err
	}
	if err := s.FoldedHere(ctx, layouts); err != nil {
		return nil, 0, err
	}
	client, err := s.Redis()
	if err != nil {
		return nil, 0, err
	}
	admin, err := s.Admin()
	if err != nil {
		return nil, 0, err
	}
	partitions, err := admin.Partitions(ctx, s.Topics.Events)
	if err != nil {
		return nil, 0, err
	}
	opened := make(map[string]*cache.Mender, len(layouts))
	for _, l := range layouts {
		if l.Generation != s.Generation || int(l.Partitions) != partitions || l.Topic != s.Topics.Events {
			return nil, 0, exit.Refuse("the cache of %s is of generation %d of %s with %d partitions, and this is generation %d of %s with %d",
				l.Service, l.Generation, l.Topic, l.Partitions, s.Generation, s.Topics.Events, partitions)
		}
		if opened[l.Service], err = cache.OpenMender(ctx, client, l.Service, s.Logger); err != nil {
			return nil, 0, err
		}
	}
	return opened, int32(partitions), nil
}

// parkedFlags choose among what is parked.
type parkedFlags struct {
	reasons, services, sources, types, states []string
	subject                                   string
	since, until                              moment.Flag
}

func (f *parkedFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringSliceVar(&f.reasons, "parked-for", nil, "only for these reasons: frozen-by-block, misplaced, …")
	flags.StringSliceVar(&f.services, "service", nil, "only what these services parked")
	flags.StringSliceVar(&f.sources, "source", nil, "only of these CloudEvents sources")
	flags.StringSliceVar(&f.types, "type", nil, "only of these CloudEvents types")
	flags.StringSliceVar(&f.states, "state", nil, "only what is open, redriven or dismissed")
	flags.StringVar(&f.subject, "subject", "", "only of this subject")
	flags.Var(&f.since, "since", "only what was parked at or after this time, or so long ago, as in 2h")
	flags.Var(&f.until, "until", "only what was parked before")
}

// filter reads the flags and the positions that were named.
func (f *parkedFlags) filter(positions []string) (*parked.Filter, error) {
	out := &parked.Filter{
		Reasons: f.reasons, Services: f.services, Sources: f.sources, Types: f.types, Since: f.since.Time, Until: f.until.Time,
	}
	for _, text := range positions {
		at, err := events.ParsePosition(text)
		if err != nil {
			return nil, exit.Misused("%w", err)
		}
		out.Positions = append(out.Positions, at)
	}
	for _, text := range f.states {
		state, err := parked.ParseState(text)
		if err != nil {
			return nil, exit.Misused("--state: %w", err)
		}
		out.States = append(out.States, state)
	}
	if f.subject != "" {
		var err error
		if out.Subject, err = events.ParseSubject(f.subject); err != nil {
			return nil, exit.Misused("--subject: %w", err)
		}
	}
	return out, nil
}

// some says whether anything was chosen at all.
func (f *parkedFlags) some(positions []string) bool {
	return len(positions)+len(f.reasons)+len(f.services)+len(f.sources)+len(f.types)+len(f.states) > 0 || f.subject != "" || !f.since.IsZero() || !f.until.IsZero()
}

// choose reads what is parked, with holds, and returns what the flags choose.
func (f *parkedFlags) choose(ctx context.Context, d *parked.Desk, positions []string) (*parked.List, error) {
	filter, err := f.filter(positions)
	if err != nil {
		return nil, err
	}
	cases, strange, err := d.Cases(ctx)
	if err != nil {
		return nil, err
	}
	for i, at := range filter.Positions {
		found, err := d.Find(ctx, cases, at)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(cases, found) {
			cases = append(cases, found)
		}
		filter.Positions[i] = found.First // it may have been named by a later one
	}
	stateless := *filter
	stateless.States = nil
	cases = stateless.Choose(cases) // whoever is asked for, before the caches are
	if err := d.Holds(ctx, cases); err != nil {
		return nil, err
	}
	return &parked.List{Topic: d.Topics.Parked, Cases: filter.Choose(cases), Strange: strange, Now: time.Now()}, nil
}

// mustChoose is for what changes something: all of it must be said, and means all that is open.
func (f *parkedFlags) mustChoose(ctx context.Context, d *parked.Desk, positions []string, all bool) ([]*parked.Case, error) {
	if !all && !f.some(positions) {
		return nil, exit.Misused("which? Name positions as \"parked list\" shows them, choose by a flag, or say --all")
	}
	if all && len(f.states) == 0 {
		f.states = []string{string(parked.Open)}
	}
	list, err := f.choose(ctx, d, positions)
	if err != nil {
		return nil, err
	}
	return list.Cases, nil
}

func counted(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", one, "s")
}
