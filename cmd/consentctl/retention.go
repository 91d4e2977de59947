package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/consumers/policy"
	versions "github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
	"github.com/kelisim/kelisim/internal/oncall/retention"
)

func newRetention(p *program) *cobra.Command {
	return group("retention", "Show who is to be erased, and what is to be reviewed", newRetentionDue(p))
}

func newRetentionDue(p *program) *cobra.Command {
	var q retention.Query
	var by string
	var reviews bool
	c := &cobra.Command{
		Use: "due", Short: "Show whose retention is over, or with --reviews which refused withdrawals are to be reviewed", Args: cobra.NoArgs,
		Long: "Show whose retention is over (clause 2.5), by partition, with counts, as the role policy keeps it. The role erases whoever is due at\n" +
			"its next sweep, except who is frozen by a block or held by a parked event. Subjects are masked unless --reveal is given.",
	}
	flags := c.Flags()
	flags.BoolVar(&reviews, "reviews", false, "refused withdrawals whose review is due instead (clause 2.7)")
	flags.StringVar(&by, "by", "", "what is due on this day in Almaty or before, like 2030-02-01; today unless given")
	flags.Int32SliceVar(&q.Partitions, "partitions", nil, "only these")
	flags.IntVar(&q.Limit, "limit", 100, "rows at most; the counts are of all")
	flags.BoolVar(&q.Reveal, "reveal", false, "show subjects as they are")
	return p.reading(c, func(ctx context.Context, s *session, _ []string) (output.Result, error) {
		q.Now = time.Now()
		q.By = q.Now
		if by != "" {
			day, err := versions.ParseDate(by)
			if err != nil {
				return nil, exit.Misused("--by: %w", err)
			}
			q.By = day.Add(1).Start().Add(-time.Millisecond) // the end of that day
		}
		d, err := s.retention(ctx)
		if err != nil {
			return nil, err
		}
		if reviews {
			return orNil(d.Reviews(ctx, q))
		}
		return orNil(d.Due(ctx, q))
	})
}

// retention opens the calendar of the role policy.
func (s *session) retention(ctx context.Context) (*retention.Desk, error) {
	if _, err := s.Services(ctx, policy.Name); err != nil {
		return nil, err
	}
	client, err := s.Redis()
	if err != nil {
		return nil, err
	}
	all, err := policy.Slots(ctx, client)
	if err != nil {
		return nil, err
	}
	calendar, err := policy.Open(client, all)
	if err != nil {
		return nil, err
	}
	rules, err := s.Rules(ctx)
	if err != nil {
		return nil, err
	}
	book, err := s.Book(ctx)
	if err != nil {
		return nil, err
	}
	return &retention.Desk{Calendar: calendar, States: cache.NewReader(client, policy.Name), Rules: rules, Book: book}, nil
}
