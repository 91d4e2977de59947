package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
	"github.com/kelisim/kelisim/internal/oncall/verify"
)

// maxKept bounds the differences that are kept for a JSON or YAML result, at some
// 300 bytes each. Tables and JSON Lines name all, one after the other.
const maxKept = 100_000

func newVerify(p *program) *cobra.Command {
	var cfg verify.Config
	var subject string
	var partitions []int
	c := &cobra.Command{
		Use: "verify", Short: "Compare what the services hold with what the log says", Args: cobra.NoArgs,
		Long: "Compare what the services hold with what the log says, beside live traffic, and name every difference. It folds the log\n" +
			"as the services do, a partition at a time, and keeps --states states in memory: a partition with more subjects is read\n" +
			"once for each share of them. Exits with 3 when something differs, cannot be judged, or a service has no\n" +
			"cache. What a service has not applied yet is counted and not judged: see lag.",
	}
	flags := c.Flags()
	flags.StringSliceVar(&cfg.Services, "service", nil, "only these services")
	flags.IntSliceVar(&partitions, "partition", nil, "only these partitions")
	flags.StringVar(&subject, "subject", "", "only this person")
	flags.IntVar(&cfg.States, "states", verify.DefaultStates, "states kept in memory at a time, at some 300 bytes each")
	flags.BoolVar(&cfg.Raw, "raw", false, "also read the log without folding it, to say how fast that is")
	return p.reading(c, func(ctx context.Context, s *session, _ []string) (output.Result, error) {
		var err error
		if subject != "" {
			if cfg.Subject, err = parseSubject(subject); err != nil {
				return nil, err
			}
		}
		if cfg.States < 1 || subject != "" && len(partitions) > 0 {
			return nil, exit.Misused("want --states of 1 or more, and one of --subject and --partition")
		}
		for _, p := range partitions {
			cfg.Partitions = append(cfg.Partitions, int32(p))
		}
		return s.verify(ctx, cfg)
	})
}

// verify compares, and prints differences as they are found where the form allows.
func (s *session) verify(ctx context.Context, cfg verify.Config) (output.Result, error) {
	var kept []verify.Difference
	var fault error
	cfg.Found = func(d verify.Difference) {
		switch format := output.Format(s.program.format); {
		case format == output.Table || format == output.Lines:
			fault = errors.Join(fault, s.emit(d))
		case len(kept) < maxKept:
			kept = append(kept, d)
		}
	}
	cfg.Progress = s.progress("verify", "events")
	report, err := verify.Run(ctx, s.Cluster, cfg)
	if report == nil {
		return nil, err
	}
	missing, unknown := s.missing(ctx, cfg.Services)
	report.Found, report.Missing = kept, missing
	return report, errors.Join(fault, unknown, found(missing, err))
}
