package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/internal/oncall/output"
	"github.com/kelisim/kelisim/internal/oncall/trace"
)

func newTrace(p *program) *cobra.Command {
	var services []string
	c := &cobra.Command{
		Use: "trace SUBJECT", Short: "Tell a person's events, and when each service applied them", Args: cobra.ExactArgs(1),
		Long: "Tell every event of a person in the order of the log: what it came to, when each service's cache decided by it, and\n" +
			"whether the service has acted on it, by the first receipt that covers it. It reads the one partition of the person, and\n" +
			"the receipts for it. With --service it does not need Redis.",
	}
	c.Flags().StringSliceVar(&services, "service", nil, "only these services")
	return p.reading(c, func(ctx context.Context, s *session, args []string) (output.Result, error) {
		subject, err := parseSubject(args[0])
		if err != nil {
			return nil, err
		}
		for _, service := range services {
			if err := s.mustBe(ctx, service); err != nil {
				return nil, err
			}
		}
		t, err := trace.Subject(ctx, s.Cluster, subject, services, s.progress("trace", "events"))
		if err != nil {
			return nil, err
		}
		return t, nil
	})
}
