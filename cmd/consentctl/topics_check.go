package main

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
	"github.com/kelisim/kelisim/internal/oncall/topics"
)

func newTopicsCheck(p *program) *cobra.Command {
	c := &cobra.Command{
		Use: "check", Short: "Say where topics differ from deploy/topics.yaml", Args: cobra.NoArgs,
		Long: "Say where topics differ from deploy/topics.yaml: missing ones, numbers of partitions and replicas, every setting, and\n" +
			"settings that somebody made beside those. On a cluster with fewer brokers than replicas are wanted, one on each is right.\n" +
			"Exit code 3 when anything differs; every difference comes with what mends it.",
	}
	return p.reading(c, func(ctx context.Context, s *session, _ []string) (output.Result, error) {
		admin, wanted, err := s.wantedTopics(ctx)
		if err != nil {
			return nil, err
		}
		found, err := topics.Check(ctx, admin, wanted)
		if err != nil {
			return nil, err
		}
		report := topicsReport{Topics: len(wanted), Differences: found}
		if len(found) > 0 {
			return report, exit.ErrFindings
		}
		return report, nil
	})
}

type topicsReport struct {
	Topics      int                 `json:"topics"` // that were looked at
	Differences []topics.Difference `json:"differences"`
}

// Text implements [output.Result].
func (r topicsReport) Text(w io.Writer) {
	if len(r.Differences) == 0 {
		fmt.Fprintf(w, "%d topics are as deploy/topics.yaml says\n", r.Topics)
		return
	}
	writeDifferences(w, r.Differences)
}

// Parts implements [output.Many].
func (r topicsReport) Parts() iter.Seq[any] {
	return func(yield func(any) bool) {
		for _, d := range r.Differences {
			if !yield(d) {
				return
			}
		}
	}
}

func writeDifferences(w io.Writer, all []topics.Difference) {
	output.Columns(w, []string{"TOPIC", "WHAT", "IS", "WANT", "FIX"}, func(yield func([]string) bool) {
		for _, d := range all {
			if !yield([]string{d.Topic, d.What, d.Is, d.Want, d.Fix}) {
				return
			}
		}
	})
}
