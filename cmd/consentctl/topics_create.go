package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/internal/oncall/audit"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
	"github.com/kelisim/kelisim/internal/oncall/topics"
)

func newTopicsCreate(p *program) *cobra.Command {
	var flags actFlags
	c := &cobra.Command{
		Use: "create", Short: "Create the topics of deploy/topics.yaml that are missing", Args: cobra.NoArgs,
		Long: "Create the topics of deploy/topics.yaml that are missing. One that is there is left as it is: see \"check\" and \"align\".\n" +
			"The topic of the record is created first, as the one act that nothing can record.",
	}
	flags.add(c)
	return p.reading(c, func(ctx context.Context, s *session, _ []string) (output.Result, error) {
		admin, wanted, err := s.wantedTopics(ctx)
		if err != nil {
			return nil, err
		}
		missing, err := topics.Missing(ctx, admin, wanted)
		if err != nil {
			return nil, err
		}
		report := &createReport{State: statePlanned, Topics: missing}
		if len(missing) == 0 {
			return report, nil
		}
		actor, err := s.founder(ctx, &flags, missing)
		if err != nil {
			return report, err
		}
		err = actor.Do(ctx, audit.Act{Command: "topics create", Plan: report}, func(ctx context.Context) (string, error) {
			if err := topics.Create(ctx, admin, missing); err != nil {
				return "", err
			}
			report.State = stateCreated
			return fmt.Sprintf("%d topics created", len(missing)), nil
		})
		return report, err
	})
}

const stateCreated = "created"

// founder is the session's actor, also where there is no record yet because its
// topic is one of those to be created. Everything else that an act needs is asked
// for first.
func (s *session) founder(ctx context.Context, flags *actFlags, missing []deploy.Topic) (audit.Actor, error) {
	actor, err := s.actor(flags)
	i := slices.IndexFunc(missing, func(t deploy.Topic) bool { return t.Name == s.Topics.Audit })
	var refused *exit.RefusedError
	if i < 0 || !errors.As(err, &refused) {
		return actor, err
	}
	if err := s.confirm(flags.confirm); err != nil {
		return nil, err
	}
	admin, err := s.Admin()
	if err != nil {
		return nil, err
	}
	if err := topics.Create(ctx, admin, missing[i:i+1]); err != nil {
		return nil, err
	}
	return s.actor(flags)
}

type createReport struct {
	State  string         `json:"state"`
	Topics []deploy.Topic `json:"topics"`
}

// Text implements [output.Result].
func (r *createReport) Text(w io.Writer) {
	if len(r.Topics) == 0 {
		fmt.Fprintln(w, "nothing to do: every topic is there")
		return
	}
	output.Columns(w, []string{"TOPIC", "PARTITIONS", "REPLICAS", "STATE"}, func(yield func([]string) bool) {
		for _, t := range r.Topics {
			if !yield([]string{t.Name, fmt.Sprint(t.Partitions), fmt.Sprint(t.Replicas), r.State}) {
				return
			}
		}
	})
	if r.State == statePlanned {
		fmt.Fprintln(w, "say --apply to create them")
	}
}
