package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/oncall/audit"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
	"github.com/kelisim/kelisim/internal/oncall/parked"
)

func newParkedList(p *program) *cobra.Command {
	var f parkedFlags
	c := &cobra.Command{
		Use: "list", Short: "List what is parked: why, how old, by whom, whom it holds, and what was done about it", Args: cobra.NoArgs,
		Long: "List what is parked, oldest first, a line for each event, however many services parked it. It is named by the position\n" +
			"where it first stood in the log. Open: something is to be done. Redriven: published again, and not parked again.",
	}
	f.add(c)
	return p.reading(c, func(ctx context.Context, s *session, _ []string) (output.Result, error) {
		d, err := s.desk(ctx, "")
		if err != nil {
			return nil, err
		}
		list, err := f.choose(ctx, d, nil)
		if err != nil {
			return nil, err
		}
		return list, nil
	})
}

func newParkedShow(p *program) *cobra.Command {
	var who actFlags
	reveal := false
	c := &cobra.Command{
		Use: "show POSITION", Short: "Show a parked event: its copies, what was done, its headers and bytes", Args: cobra.ExactArgs(1),
		Long: "Show a parked event. Key, value and whatever in the headers may name a person are only measured, unless --reveal is said,\n" +
			"which needs a reason and is recorded.",
	}
	c.Flags().BoolVar(&reveal, "reveal", false, "show everything; recorded")
	who.addWho(c)
	return p.reading(c, func(ctx context.Context, s *session, args []string) (output.Result, error) {
		first, err := events.ParsePosition(args[0])
		if err != nil {
			return nil, exit.Misused("%w", err)
		}
		d, err := s.desk(ctx, "")
		if err != nil {
			return nil, err
		}
		detail := new(parked.Detail)
		show := func(ctx context.Context) (string, error) {
			cases, _, err := d.Cases(ctx)
			if err != nil {
				return "", err
			}
			found, err := d.Find(ctx, cases, first)
			if err != nil {
				return "", err
			}
			if err := d.Holds(ctx, []*parked.Case{found}); err != nil {
				return "", err
			}
			detail, err = d.Show(ctx, found, reveal)
			return "shown", err
		}
		if reveal {
			recorder, err := s.recorder(&who)
			if err != nil {
				return nil, err
			}
			err = recorder.Do(ctx, audit.Act{Command: "parked show --reveal", Plan: args[0]}, show)
			return orNil(detail, err)
		}
		_, err = show(ctx)
		return orNil(detail, err)
	})
}

// orNil returns no result where there is an error.
func orNil[R output.Result](r R, err error) (output.Result, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}
