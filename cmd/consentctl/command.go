package main

// A command is a file of its own: a function newX(p) that returns p.reading(…) or
// p.acting(…), and is named in newRoot. What it does stands in
// internal/oncall/x, as a function of the cluster that returns an
// [output.Result]; the file here holds flags and wiring alone.

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/oncall/audit"
	"github.com/kelisim/kelisim/internal/oncall/cluster"
	"github.com/kelisim/kelisim/internal/oncall/output"
	"github.com/kelisim/kelisim/internal/oncall/progress"
)

// session is one command at work on a cluster.
type session struct {
	*cluster.Cluster
	*cobra.Command
	program *program
	place   place

	redisAddrs []string // as configured: of the servers, or of sentinels
}

// reading makes a command that reads a cluster. It gives it the settings' flags,
// opens the cluster for run and closes it behind it, and prints the result of
// run, if there is one, also when run failed: findings are a result and
// [exit.ErrFindings].
func (p *program) reading(c *cobra.Command, run func(ctx context.Context, s *session, args []string) (output.Result, error)) *cobra.Command {
	fault := addSettings(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if fault != nil {
			return fault
		}
		s, err := p.open(c)
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }() // what was published was acknowledged before
		result, err := run(c.Context(), s, args)
		if result != nil {
			if err := p.print(c, result); err != nil {
				return err
			}
		}
		return err
	}
	return c
}

// acting makes a command that may change something. Beside what reading does, it
// gives it --apply, --reason and their kin, and run an actor: the one that only
// does as if, or with --apply the one that acts and records it. See [audit].
func (p *program) acting(c *cobra.Command, run func(ctx context.Context, s *session, actor audit.Actor, args []string) (output.Result, error)) *cobra.Command {
	var flags actFlags
	flags.add(c)
	return p.reading(c, func(ctx context.Context, s *session, args []string) (output.Result, error) {
		actor, err := s.actor(&flags)
		if err != nil {
			return nil, err
		}
		return run(ctx, s, actor, args)
	})
}

// progress returns the display of a long task, on standard error.
func (s *session) progress(task, unit string) progress.Progress {
	w := s.ErrOrStderr()
	return progress.New(w, daemon.IsTerminal(w), task, unit)
}

// emit prints one of a stream of results, at once.
func (s *session) emit(r output.Result) error {
	return output.Format(s.program.format).Emit(s.OutOrStdout(), r)
}
