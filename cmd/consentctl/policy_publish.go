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
	"github.com/kelisim/kelisim/events/stream"
)

// unknownBIN is the seed's: the policy's text names none, but every grant must
// (Law on Personal Data, Art. 8(4)).
const unknownBIN = "000000000000"

// closeTimeout bounds the end of a producer whose publication has settled.
const closeTimeout = 5 * time.Second

// What publishing comes to.
const (
	statePlanned = "planned" // nothing was written yet
	stateDone    = "published"
	stateKnown   = "known" // it was published before, and nothing was written
	stateFaulty  = "faulty"
)

func newPolicyPublish(p *program) *cobra.Command {
	var apply bool
	var source string
	c := &cobra.Command{
		Use:   "publish FILE",
		Short: "Publish a version of the policy",
		Long: "Publish a version of the policy to the log, where every service and guard learns of it. Without --apply it only shows\n" +
			"what would be published and what changes. A version that is published already with the same content is left alone;\n" +
			"with another content it is refused, and so is what \"lint\" finds against the published versions (exit code 3).",
		Args: cobra.ExactArgs(1),
	}
	c.RunE = func(c *cobra.Command, files []string) error {
		log, err := p.connect(c)
		if err != nil {
			return err
		}
		report, err := log.publish(c.Context(), files[0], source, apply)
		if err != nil {
			return err
		}
		if err := p.print(c.OutOrStdout(), report); err != nil {
			return err
		}
		if report.State == stateFaulty {
			return errFindings
		}
		return nil
	}
	c.Flags().BoolVar(&apply, "apply", false, "publish it; without, show the plan")
	c.Flags().StringVar(&source, "source", "/consentctl", "who publishes, as a CloudEvents source")
	if err := addSettings(c); err != nil {
		c.RunE = func(*cobra.Command, []string) error { return err }
	}
	return c
}

type publishReport struct {
	State   string          `json:"state"`
	Topic   string          `json:"topic"`
	Offset  *int64          `json:"offset,omitempty"` // when it was published now
	edition                 // of the file
	Changes []policy.Change `json:"changes,omitempty"` // against the last published version
	Faults  []fault         `json:"faults,omitempty"`
}

// publish reads, checks, shows, and publishes if it is to.
func (k *cluster) publish(ctx context.Context, file, source string, apply bool) (publishReport, error) {
	report := publishReport{State: stateFaulty, Topic: k.topics.Policies, edition: edition{File: file}}
	c, faults, err := readCatalogue(file)
	if err != nil || len(faults) > 0 {
		report.Faults = faultsOf(file, faults)
		return report, err
	}
	report.edition = editionOf(file, c)
	book, err := k.published(ctx)
	if err != nil {
		return report, err
	}
	with, err := book.With(c)
	switch {
	case errors.Is(err, policy.ErrRepublished):
		return report, fmt.Errorf("refused: %w", err)
	case err == nil && with == book:
		report.State = stateKnown
		return report, nil
	}
	if faults = policy.Lint(book, c); c.Operator.BIN == unknownBIN {
		faults = append(faults, policy.Fault{Field: "operator.bin", Cause: errors.New("is the seed's, which stands for not known")})
	}
	if len(faults) > 0 {
		report.Faults = faultsOf(file, faults)
		return report, nil
	}
	if last := newest(book); last != nil {
		report.Changes = policy.Diff(last, c)
	}
	if report.State = statePlanned; !apply {
		return report, nil
	}
	offset, err := k.append(ctx, c, source)
	if err != nil {
		return report, err
	}
	report.State, report.Offset = stateDone, &offset
	return report, nil
}

// append writes the version and reads the topic once more: two people may have
// published at once, and only the log knows who was first.
func (k *cluster) append(ctx context.Context, c *policy.Catalogue, source string) (offset int64, err error) {
	e, err := c.Event(source, time.Now())
	if err != nil {
		return 0, err
	}
	message, err := cloudevent.Encoder{}.Encode(&e)
	if err != nil {
		return 0, err
	}
	producer, err := stream.NewProducer(stream.ProducerConfig{Config: k.kafka})
	if err != nil {
		return 0, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err = errors.Join(err, producer.Close(ctx))
	}()
	message.Topic = k.topics.Policies
	ack, err := producer.Publish(ctx, message)
	if err != nil {
		return 0, fmt.Errorf("publish %s: %w", c, err)
	}
	if _, err := k.published(ctx); err != nil {
		return 0, fmt.Errorf("published %s at offset %d, but the versions no longer fit together: %w", c, ack.Offset, err)
	}
	return ack.Offset, nil
}

func (r publishReport) text(w io.Writer) {
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
}
