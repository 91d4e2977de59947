package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
	"github.com/kelisim/kelisim/internal/oncall/show"
)

func newShow(p *program) *cobra.Command {
	var services []string
	c := &cobra.Command{
		Use: "show SUBJECT", Short: "Say what every service knows of a person, and which events decided it", Args: cobra.ExactArgs(1),
		Long: "Say what every service knows of a person: where it stands, what its guard answers for each purpose, which event decided\n" +
			"that, and what holds the person. Exits with 3 when two services cannot both be right, or one has no cache; one that is only\n" +
			"behind disagrees with nobody.",
	}
	c.Flags().StringSliceVar(&services, "service", nil, "only these services")
	return p.reading(c, func(ctx context.Context, s *session, args []string) (output.Result, error) {
		subject, err := parseSubject(args[0])
		if err != nil {
			return nil, err
		}
		r, err := show.Subject(ctx, s.Cluster, subject, services...)
		if r == nil {
			return nil, err
		}
		missing, fault := s.missing(ctx, services)
		if fault != nil {
			return nil, fault
		}
		r.Missing = missing
		return r, found(missing, err)
	})
}

// parseSubject reads the subject that a command is asked about.
func parseSubject(text string) (events.Subject, error) {
	s, err := events.ParseSubject(text)
	if err != nil {
		return s, &exit.UsageError{Err: err}
	}
	return s, nil
}
