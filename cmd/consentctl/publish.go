package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kelisim/kelisim/internal/oncall/audit"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
	"github.com/kelisim/kelisim/internal/oncall/publish"
	"github.com/kelisim/kelisim/internal/oncall/record"
)

// eventFlags are the attributes of one event, by the names of the flags.
var eventFlags = []struct{ flag, attribute, help string }{
	{"type", "type", "what was decided: consent.granted, consent.withdrawn, … or the whole type"},
	{"subject", "subject", "opaque id of the person"},
	{"purposes", "purposes", "purposes, with a comma between each two"},
	{"policy", "policyversion", "policy version that it was given under"},
	{"method", "method", "how it came about: person, staff, import, merge or continued-use"},
	{"evidence", "evidence", "URI of the proof"},
	{"source", "source", "CloudEvents source; /consentctl when empty"},
	{"id", "id", "CloudEvents id; a new one when empty"},
	{"time", "time", "when the person decided, as in 2026-11-22T10:15:30Z; now when empty"},
	{"request-source", "requestsource", "of a refusal: source of the request that is refused"},
	{"request-id", "requestid", "of a refusal: id of the request that is refused"},
	{"ground", "ground", "of a refusal: law or unfulfilled-obligation"},
	{"reference", "reference", "of a refusal: URI of the law or the obligation"},
	{"review-by", "reviewby", "of a refusal: when its ground is looked at again"},
}

func newPublish(p *program) *cobra.Command {
	var file, data string
	c := &cobra.Command{
		Use: "publish", Short: "Publish an event, or a file of events", Args: cobra.NoArgs,
		Long: "Publish one event from flags, or a file of CloudEvents in JSON (--file, - is standard input): one after the other, or\n" +
			"arrays of them. All are held to the schemas first, and what is wrong is named by event and field (exit code 3); then none\n" +
			"is published. Without --apply it only shows what it would. It prints the position of each event, which is a token: a\n" +
			"check that names it is at least as fresh. Publishing the same source and id again changes nothing.",
	}
	flags := c.Flags()
	for _, f := range eventFlags {
		flags.String(f.flag, "", f.help)
	}
	flags.StringVar(&data, "data", `{}`, "data of the event: a JSON object")
	flags.StringVarP(&file, "file", "f", "", "file of CloudEvents in JSON; - is standard input")
	return p.acting(c, func(ctx context.Context, s *session, actor audit.Actor, _ []string) (output.Result, error) {
		given, err := handedIn(s.Command, file, data)
		if err != nil {
			return nil, err
		}
		rules, err := s.Rules(ctx)
		if err != nil {
			return nil, err
		}
		checker, err := publish.NewChecker(rules)
		if err != nil {
			return nil, err
		}
		drafts := make([]publish.Draft, len(given))
		for i, text := range given {
			drafts[i] = checker.Check(i+1, text)
		}
		r, err := publish.Events(ctx, s.Cluster, actor, drafts)
		if r == nil {
			return nil, err
		}
		return r, err
	})
}

// handedIn returns the events in JSON, from flags or from a file.
func handedIn(c *cobra.Command, file, data string) ([]json.RawMessage, error) {
	event := make(map[string]any)
	for _, f := range eventFlags {
		if value, err := c.Flags().GetString(f.flag); err == nil && value != "" {
			event[f.attribute] = value
		}
	}
	switch {
	case file != "" && (len(event) > 0 || c.Flags().Changed("data")):
		return nil, exit.Misused("--file: its events say all themselves; leave the other flags out")
	case file == "-":
		return publish.Read(c.InOrStdin())
	case file != "":
		in, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer in.Close()
		return publish.Read(io.Reader(in))
	}
	complete(event)
	event["data"] = json.RawMessage(data)
	text, err := json.Marshal(event)
	if err != nil {
		return nil, exit.Misused("--data: no JSON")
	}
	return []json.RawMessage{text}, nil
}

// complete adds what follows from the rest. What only the person knows is never
// made up: who, what, and by which proof.
func complete(event map[string]any) {
	if kind, ok := event["type"].(string); ok {
		event["type"] = record.FullType(kind)
	}
	for attribute, value := range map[string]string{
		"specversion": "1.0", "datacontenttype": "application/json", "source": "/consentctl", "id": rand.Text(),
		"time": time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00"),
	} {
		if _, given := event[attribute]; !given {
			event[attribute] = value
		}
	}
	if who, given := event["subject"]; given {
		event["partitionkey"] = who
	}
}
