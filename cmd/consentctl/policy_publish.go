package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/oncall/audit"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
	"github.com/kelisim/kelisim/schemas"
)

// unknownBIN is the seed's: the policy's text names none, but every grant must
// (Law on Personal Data, Art. 8(4)).
const unknownBIN = "000000000000"

// What publishing comes to.
const (
	statePlanned = "planned" // nothing was written yet
	stateDone    = "published"
	stateKnown   = "known" // it was published before, and nothing was written
	stateFaulty  = "faulty"
)

func newPolicyPublish(p *program) *cobra.Command {
	var source string
	c := &cobra.Command{
		Use:   "publish FILE",
		Short: "Publish a version of the policy",
		Long: "Publish a version of the policy to the log, where every service and guard learns of it. Without --apply it only shows\n" +
			"what would be published and what changes. A version that is published already with the same content is left alone;\n" +
			"with another content it is refused, and so is what \"lint\" finds against the published versions (exit code 3).",
		Args: cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&source, "source", "/consentctl", "who publishes, as a CloudEvents source")
	return p.acting(c, func(ctx context.Context, s *session, actor audit.Actor, files []string) (output.Result, error) {
		report, version, err := s.planPublication(ctx, files[0])
		switch {
		case err != nil:
			return nil, err
		case report.State == stateFaulty:
			return report, exit.ErrFindings
		case report.State == stateKnown:
			return report, nil
		}
		err = actor.Do(ctx, audit.Act{Command: "policy publish", Plan: report}, func(ctx context.Context) (string, error) {
			offset, err := s.publishVersion(ctx, version, source)
			if err != nil {
				return "", err
			}
			report.State, report.Offset = stateDone, &offset
			return fmt.Sprintf("version %s at offset %d of %s", report.Version, offset, report.Topic), nil
		})
		if err != nil && report.State != stateDone {
			return nil, err
		}
		return report, err
	})
}

type publishReport struct {
	State   string          `json:"state"`
	Topic   string          `json:"topic"`
	Offset  *int64          `json:"offset,omitempty"` // when it was published now
	edition                 // of the file
	Changes []policy.Change `json:"changes,omitempty"` // against the last published version
	Faults  []fault         `json:"faults,omitempty"`

	Warnings []fault `json:"warnings,omitempty"` // may be meant
}

// planPublication reads, checks and compares. It returns what is to be published.
func (s *session) planPublication(ctx context.Context, file string) (*publishReport, *policy.Catalogue, error) {
	report := &publishReport{State: stateFaulty, Topic: s.Topics.Policies, edition: edition{File: file}}
	c, faults, err := readCatalogue(file)
	if err != nil || len(faults) > 0 {
		report.Faults = faultsOf(file, faults)
		return report, nil, err
	}
	report.edition = editionOf(file, c)
	book, err := s.Book(ctx)
	if err != nil {
		return nil, nil, err
	}
	with, err := book.With(c)
	switch {
	case errors.Is(err, policy.ErrRepublished):
		return nil, nil, exit.Refuse("%w", err)
	case err == nil && with == book:
		report.State = stateKnown
		return report, c, nil
	}
	if faults = policy.Lint(book, c); c.Operator.BIN == unknownBIN {
		faults = append(faults, policy.Fault{Field: "operator.bin", Cause: errors.New("is the seed's, which stands for not known")})
	}
	if len(faults) > 0 {
		report.Faults = faultsOf(file, faults)
		return report, nil, nil
	}
	if last := newest(book); last != nil {
		report.Changes = policy.Diff(last, c)
	}
	report.Warnings = warnings(file, book, c)
	report.State = statePlanned
	return report, c, nil
}

// publishVersion writes the version and reads the topic once more: two people may
// have published at once, and only the log knows who was first.
func (s *session) publishVersion(ctx context.Context, c *policy.Catalogue, source string) (offset int64, err error) {
	e, err := c.Event(source, time.Now())
	if err != nil {
		return 0, err
	}
	message, err := cloudevent.Encoder{Data: schemas.Data}.Encode(&e)
	if err != nil {
		return 0, err
	}
	producer, err := s.Producer()
	if err != nil {
		return 0, err
	}
	message.Topic = s.Topics.Policies
	ack, err := producer.Publish(ctx, message)
	if err != nil {
		return 0, fmt.Errorf("publish %s: %w", c, err)
	}
	_, skipped, err := s.Policies(ctx)
	if err != nil {
		return 0, fmt.Errorf("published %s at offset %d, and cannot see whether another was first: %w", c, ack.Offset, err)
	}
	for _, r := range skipped {
		if r.Offset == ack.Offset {
			return 0, fmt.Errorf("published %s at offset %d, but another was first, and services skip it: %w", c, ack.Offset, r.Err)
		}
	}
	return ack.Offset, nil
}

// Text implements [output.Result].
func (r *publishReport) Text(w io.Writer) {
	for _, f := range r.Faults {
		fmt.Fprintln(w, f)
	}
	what := fmt.Sprintf("policy %s, version %s, %d purposes, %s", r.Policy, r.Version, r.Purposes, r.Hash)
	switch r.State {
	case stateKnown:
		fmt.Fprintf(w, "nothing to do: %s is published in %s\n", what, r.Topic)
	case statePlanned:
		fmt.Fprintf(w, "would publish %s to %s; say --apply to do it\n", what, r.Topic)
	case stateDone:
		fmt.Fprintf(w, "published %s to %s at offset %d\n", what, r.Topic, *r.Offset)
	}
	for _, c := range r.Changes {
		fmt.Fprintln(w, "  "+c.String())
	}
	warn(w, r.Warnings)
}
