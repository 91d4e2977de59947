package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
)

func newPolicyDiff(p *program) *cobra.Command {
	count := false
	c := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say in words what a new version changes, and for how many people it opens a question",
		Long: "Say in words what a new version changes: what widens, narrows or is only worded anew, and what it asks again for.\n" +
			"With --brokers, or with --count and the brokers configured elsewhere, it reads the whole log of decisions and counts the\n" +
			"people whose standing grant the new version no longer covers. It keeps one state for each person in memory.",
		Args: cobra.ExactArgs(2),
	}
	fault := addSettings(c)
	c.RunE = func(c *cobra.Command, files []string) error {
		if fault != nil {
			return fault
		}
		report, book, err := diff(files[0], files[1])
		if err != nil {
			return err
		}
		if count || c.Flags().Changed(brokersSetting) {
			s, err := p.open(c)
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }() // it wrote nothing
			if report.Questions, err = s.census(c.Context(), book, report.Old, report.New); err != nil {
				return err
			}
		}
		return p.print(c, report)
	}
	c.Flags().BoolVar(&count, "count", false, "count the people for whom the new version opens a question")
	return c
}

type diffReport struct {
	Policy    string               `json:"policy"`
	Old       events.PolicyVersion `json:"old"`
	New       events.PolicyVersion `json:"new"`
	Changes   []policy.Change      `json:"changes"`
	AskAgain  []events.Purpose     `json:"askagain"`            // on consent, and consent under old does not cover them in new
	Warnings  []fault              `json:"warnings,omitempty"`  // of the new file: may be meant
	Questions *census              `json:"questions,omitempty"` // when it was to count
}

type census struct {
	policy.Questions
	Unreadable int `json:"unreadable"` // events that could not be counted
}

func diff(oldFile, newFile string) (diffReport, *policy.Book, error) {
	old, err := mustCatalogue(oldFile)
	if err != nil {
		return diffReport{}, nil, err
	}
	next, err := mustCatalogue(newFile)
	if err != nil {
		return diffReport{}, nil, err
	}
	first, err := new(policy.Book).With(old)
	if err != nil {
		return diffReport{}, nil, err
	}
	book, err := first.With(next)
	if err != nil {
		return diffReport{}, nil, err
	}
	again := make([]events.Purpose, 0, len(next.Purposes))
	for _, p := range next.Purposes {
		if p.Basis == events.Consent && !book.CoveredBy(next.Version, old.Version).Has(p.Code) {
			again = append(again, p.Name)
		}
	}
	return diffReport{
		Policy: old.Policy, Old: old.Version, New: next.Version, Changes: policy.Diff(old, next), AskAgain: again,
		Warnings: warnings(newFile, first, next),
	}, book, nil
}

// census folds the log and counts. The versions of the book and the published
// ones together say what grants were given under.
func (s *session) census(ctx context.Context, book *policy.Book, old, next events.PolicyVersion) (*census, error) {
	known, err := s.Book(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range known.Versions() {
		if book, err = book.With(c); err != nil {
			return nil, fmt.Errorf("topic %s holds another one than the file: %w", s.Topics.Policies, err)
		}
	}
	people, decoder := policy.NewCensus(book, old, next), cloudevent.Decoder{Rules: book.Rules()}
	out, shown := new(census), s.progress("census", "events")
	defer shown.Done()
	err = s.ReadShown(ctx, s.Topics.Events, shown, func(record *stream.Record) error {
		e := events.Event{Logged: events.Stamp{
			Position: events.Position{Generation: s.Generation, Partition: record.Partition, Offset: record.Offset},
			Appended: events.Millis(record.Time),
		}}
		if decoder.Decode(record, &e) != nil {
			out.Unreadable++
			return nil
		}
		people.Add(&e)
		return nil
	})
	out.Questions = people.Questions()
	return out, err
}

// Text implements [output.Result].
func (r diffReport) Text(w io.Writer) {
	fmt.Fprintf(w, "policy %s, from version %s to %s\n", r.Policy, r.Old, r.New)
	for _, c := range r.Changes {
		fmt.Fprintln(w, "  "+c.String())
	}
	if len(r.Changes) == 0 {
		fmt.Fprintln(w, "  nothing changes")
	}
	fmt.Fprintln(w, "asks again for:", cmp.Or(strings.Join(words(r.AskAgain), ", "), "nothing"))
	warn(w, r.Warnings)
	if q := r.Questions; q != nil {
		fmt.Fprintf(w, "opens a question for %d of %d people\n", q.Asked, q.People)
		for _, name := range slices.Sorted(maps.Keys(q.Purposes)) {
			fmt.Fprintf(w, "  %s: %d\n", name, q.Purposes[name])
		}
		if q.Unreadable > 0 {
			fmt.Fprintf(w, "  not counted: %d events that cannot be read\n", q.Unreadable)
		}
	}
}

func words(names []events.Purpose) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = string(name)
	}
	return out
}
