package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/audit"
	"github.com/kelisim/kelisim/internal/oncall/moment"
	"github.com/kelisim/kelisim/internal/oncall/output"
)

func newAudit(p *program) *cobra.Command {
	return group("audit", "Read the record of what operators did", newAuditList(p))
}

func newAuditList(p *program) *cobra.Command {
	var since moment.Flag
	var operator string
	c := &cobra.Command{
		Use: "list", Short: "List what was done: who, why, by which plan, and what came of it", Args: cobra.NoArgs,
		Long: "List what was done with consentctl, oldest first, a line for each act. An act that stays \"begun\" did not live to say\n" +
			"how it ended: look what it left.",
	}
	c.Flags().Var(&since, "since", "only what began at or after this time, or so long ago, as in 24h")
	c.Flags().StringVar(&operator, "by", "", "only what this operator did")
	return p.reading(c, func(ctx context.Context, s *session, _ []string) (output.Result, error) {
		history := &audit.History{Acts: []audit.Entry{}}
		err := s.Read(ctx, s.Topics.Audit, func(record *stream.Record) error {
			e, err := audit.Parse(record)
			if err != nil {
				history.Unreadable++
				return nil
			}
			history.Add(e)
			return nil
		})
		if err != nil {
			return nil, err
		}
		history.Keep(func(e *audit.Entry) bool {
			return !e.Begun.Before(since.Time) && (operator == "" || e.Operator == operator)
		})
		return history, nil
	})
}
