package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/cmd/internal/roles"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/audit"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/offsets"
	"github.com/kelisim/kelisim/internal/oncall/output"
)

func newOffsets(p *program) *cobra.Command {
	return group("offsets", "Show and move what the services' groups have committed",
		newOffsetsShow(p), newOffsetsMove(p), newOffsetsUndo(p))
}

func newOffsetsShow(p *program) *cobra.Command {
	c := &cobra.Command{
		Use: "show [SERVICE...]", Short: "Show committed offsets beside the positions that count",
		Long: "Show, per group and partition, what is committed, the position that the cache holds, and where the log begins and ends.\n" +
			"The cache's position is the one that counts: a service reads on from there, whatever is committed.",
	}
	return p.reading(c, func(ctx context.Context, s *session, services []string) (output.Result, error) {
		admin, err := s.Admin()
		if err != nil {
			return nil, err
		}
		layouts, err := s.Services(ctx, services...)
		if err != nil {
			return nil, err
		}
		var groups []offsets.Group
		for _, l := range layouts {
			g, err := s.group(l.Service, "")
			if err != nil {
				return nil, err
			}
			groups = append(groups, g)
		}
		return orNil(offsets.Show(ctx, admin, s.Topics.Events, groups...))
	})
}

// group is a service's consumer group: by its usual name, unless another is given.
func (s *session) group(service, name string) (offsets.Group, error) {
	client, err := s.Redis()
	if err != nil {
		return offsets.Group{}, err
	}
	return offsets.Group{Service: service, Name: cmp.Or(name, roles.GroupOf(service, s.Generation)), Cache: cache.NewReader(client, service)}, nil
}

// mustBe refuses the name of a service that is neither one of ours nor has a cache:
// nothing would be found of it, and all be well.
func (s *session) mustBe(ctx context.Context, service string) error {
	if slices.ContainsFunc(roles.All(), func(r roles.Role) bool { return r.Name == service }) {
		return nil
	}
	if _, err := s.Services(ctx, service); err != nil {
		return exit.Misused("service %s: %w", service, err)
	}
	return nil
}

func newOffsetsMove(p *program) *cobra.Command {
	var to, name, snapshot string
	var partitions []int32
	c := &cobra.Command{
		Use: "move SERVICE --to WHERE", Short: "Move what a service's group has committed", Args: cobra.ExactArgs(1),
		Long: "Move what a service's group has committed. The group must have no member. No service reads anything again because of it:\n" +
			"the position that counts is in Redis (see \"replay\"). A snapshot file is written before; \"offsets undo\" takes it back.",
	}
	flags := c.Flags()
	flags.StringVar(&to, "to", "", "start, end, cache, an offset, +n, -n, a time like 2026-11-22T10:00:00Z, or how long ago, like 2h")
	flags.Int32SliceVar(&partitions, "partitions", nil, "only these")
	flags.StringVar(&name, "group", "", "name of the group, if it is not consent-SERVICE")
	flags.StringVar(&snapshot, "snapshot", "", "file to write the snapshot to; it must not exist (offsets-GROUP-TIME.json)")
	return p.acting(c, func(ctx context.Context, s *session, actor audit.Actor, args []string) (output.Result, error) {
		now := time.Now().UTC()
		target, err := offsets.ParseTarget(to, now)
		if err != nil {
			return nil, exit.Misused("--to: %w", err)
		}
		admin, err := s.Admin()
		if err != nil {
			return nil, err
		}
		if err := s.mustBe(ctx, args[0]); err != nil {
			return nil, err
		}
		g, err := s.group(args[0], name)
		if err != nil {
			return nil, err
		}
		plan, err := offsets.NewPlan(ctx, admin, s.Topics.Events, g, target, partitions...)
		if err != nil || len(plan.Moves) == 0 {
			return orNil(plan, err)
		}
		file := cmp.Or(snapshot, fmt.Sprintf("offsets-%s-%s.json", g.Name, now.Format("20060102T150405Z")))
		return plan, actor.Do(ctx, audit.Act{Command: "offsets move", Plan: plan}, func(ctx context.Context) (string, error) {
			if err := plan.Save(file); err != nil {
				return "", err
			}
			fmt.Fprintf(s.ErrOrStderr(), "to take it back: consentctl offsets undo %s --apply --reason …\n", file)
			return moved(plan), plan.Apply(ctx, admin)
		})
	})
}

func newOffsetsUndo(p *program) *cobra.Command {
	c := &cobra.Command{
		Use: "undo SNAPSHOT", Short: "Take a move of offsets back", Args: cobra.ExactArgs(1),
		Long: "Take a move of offsets back, by the snapshot that it wrote. Refused where the offsets are not where the move left them.",
	}
	return p.acting(c, func(ctx context.Context, s *session, actor audit.Actor, args []string) (output.Result, error) {
		snapshot, err := offsets.Load(args[0])
		if err != nil {
			return nil, err
		}
		admin, err := s.Admin()
		if err != nil {
			return nil, err
		}
		back := snapshot.Back()
		if err := back.Check(ctx, admin); err != nil {
			return back, err
		}
		return back, actor.Do(ctx, audit.Act{Command: "offsets undo", Plan: back}, func(ctx context.Context) (string, error) {
			return moved(back), back.Apply(ctx, admin)
		})
	})
}

func moved(p *offsets.Plan) string { return fmt.Sprintf("%d partitions of %s", len(p.Moves), p.Group) }
