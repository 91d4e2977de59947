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
	var part windowFlags
	c := &cobra.Command{
		Use: "verify", Short: "Compare what the services hold with what the log says", Args: cobra.NoArgs,
		Long: "Compare what the services hold with what the log says, beside live traffic, and name every difference. It folds the log\n" +
			"as the services do, a partition at a time, and keeps --states states in memory: a partition with more subjects is read\n" +
			"once for each share of them. Exits with 3 when something differs, cannot be judged, or a service has no\n" +
			"cache. What a service has not applied yet is counted and not judged: see lag.\n\n" +
			"A window, by time or by offsets, chooses people: whoever has an event in it, and nobody else. They are judged by their whole\n" +
			"history up to where each service stands, since a window by itself gives nobody's state. The log is read from its beginning\n" +
			"all the same, but for partitions without a record in the window; of the records of others only the key. Parked events are\n" +
			"compared that stand in the window or under the key of whom it chose. Digests are of everybody, so none is compared. Offsets\n" +
			"of the window that a service has not come to are counted. A window in which nothing stands is called wrongly (2); one\n" +
			"whose beginning the log may have lost exits with 3.",
	}
	flags := c.Flags()
	flags.StringSliceVar(&cfg.Services, "service", nil, "only these services")
	part.add(c)
	flags.IntVar(&cfg.States, "states", verify.DefaultStates, "states kept in memory at a time, at some 300 bytes each")
	flags.BoolVar(&cfg.Raw, "raw", false, "also read the log without folding it, to say how fast that is")
	return p.reading(c, func(ctx context.Context, s *session, _ []string) (output.Result, error) {
		var err error
		if cfg.Window, err = part.window(); err != nil {
			return nil, err
		}
		if cfg.States < 1 {
			return nil, exit.Misused("want --states of 1 or more")
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
