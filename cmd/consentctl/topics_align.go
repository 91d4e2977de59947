package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/internal/oncall/audit"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
	"github.com/kelisim/kelisim/internal/oncall/topics"
)

func newTopicsAlign(p *program) *cobra.Command {
	c := &cobra.Command{
		Use: "align", Short: "Set the settings of topics as deploy/topics.yaml says", Args: cobra.NoArgs,
		Long: "Set those settings of topics that differ as deploy/topics.yaml says. What would make Kafka delete records that it keeps now\n" +
			"is refused (exit code 4, and nothing is set): decide that for the one topic. Partitions and replicas are not touched.",
	}
	return p.acting(c, func(ctx context.Context, s *session, actor audit.Actor, _ []string) (output.Result, error) {
		admin, wanted, err := s.wantedTopics(ctx)
		if err != nil {
			return nil, err
		}
		found, err := topics.Check(ctx, admin, wanted)
		if err != nil {
			return nil, err
		}
		report := &alignReport{State: statePlanned, Alignment: topics.Align(found)}
		if n := len(report.Refused); n > 0 {
			return report, exit.Refuse("%d settings would delete records that are kept now", n)
		}
		if len(report.Changes) == 0 {
			return report, nil
		}
		err = actor.Do(ctx, audit.Act{Command: "topics align", Plan: report}, func(ctx context.Context) (string, error) {
			if err := topics.Apply(ctx, admin, report.Changes); err != nil {
				return "", err
			}
			report.State = stateAligned
			return fmt.Sprintf("settings of %d topics", len(report.Changes)), nil
		})
		return report, err
	})
}

const stateAligned = "aligned"

type alignReport struct {
	State string `json:"state"`
	topics.Alignment
}

// Text implements [output.Result].
func (r *alignReport) Text(w io.Writer) {
	for _, c := range r.Changes {
		for _, name := range slices.Sorted(maps.Keys(c.Settings)) {
			fmt.Fprintf(w, "%s: %s=%s\n", c.Topic, name, c.Settings[name])
		}
	}
	switch {
	case len(r.Changes) == 0 && len(r.Refused) == 0:
		fmt.Fprintln(w, "nothing to do: every setting is as deploy/topics.yaml says")
	case r.State == stateAligned:
		fmt.Fprintln(w, "set")
	case len(r.Refused) == 0:
		fmt.Fprintln(w, "say --apply to set them")
	}
	if left := slices.Concat(r.Refused, r.Left); len(left) > 0 {
		writeDifferences(w, left)
	}
}
