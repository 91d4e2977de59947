package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/audit"
	"github.com/kelisim/kelisim/internal/oncall/cluster"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// What publishing comes to.
const (
	statePlanned = "planned"
	stateDone    = "published"
	statePartly  = "partly published"
	stateFailed  = "not published"
	stateFaulty  = "faulty"
)

// Report is what is to be published, or was.
type Report struct {
	State  string   `json:"state"`
	Topic  string   `json:"topic"`
	Events []*Entry `json:"events"`
}

// Entry is one event of it.
type Entry struct {
	Draft
	Token    string     `json:"token,omitempty"` // its position: a check that names it is at least as fresh
	Appended *time.Time `json:"appended,omitempty"`
	Failed   string     `json:"failed,omitempty"`
}

// Plan is what the record of acts hashes: the events by what they are known by.
type plan struct {
	Topic  string   `json:"topic"`
	Events []source `json:"events"`
}

type source struct{ Source, ID string }

// Events publishes drafts, or only says what it would: that is the actor's. When a
// draft is faulty none is published, and the error is [exit.ErrFindings].
func Events(ctx context.Context, k *cluster.Cluster, actor audit.Actor, drafts []Draft) (*Report, error) {
	r := &Report{State: statePlanned, Topic: k.Topics.Events, Events: make([]*Entry, len(drafts))}
	p := plan{Topic: r.Topic}
	for i, d := range drafts {
		r.Events[i] = &Entry{Draft: d}
		if len(d.Faults) > 0 {
			r.State = stateFaulty
		}
		p.Events = append(p.Events, source{d.Event.Source, d.Event.ID})
	}
	switch {
	case len(drafts) == 0:
		return nil, exit.Misused("no event was given")
	case r.State == stateFaulty:
		return r, exit.ErrFindings
	}
	err := actor.Do(ctx, audit.Act{Command: "publish", Plan: p}, func(ctx context.Context) (string, error) {
		n, err := r.write(ctx, k)
		return fmt.Sprintf("%d of %d events published", n, len(drafts)), err
	})
	return r, err
}

// write publishes all and notes where they stand.
func (r *Report) write(ctx context.Context, k *cluster.Cluster) (int, error) {
	producer, err := k.Producer()
	if err != nil {
		return 0, err
	}
	messages := make([]stream.Message, len(r.Events))
	for i, e := range r.Events {
		messages[i] = e.message
		messages[i].Topic = r.Topic
	}
	r.State = stateFailed // until the brokers have said otherwise
	acks, err := producer.PublishAll(ctx, messages)
	var some *stream.PublishAllError
	switch {
	case err == nil:
		r.State = stateDone
	case errors.As(err, &some):
		for _, f := range some.Failed {
			r.Events[f.Index].Failed = f.Err.Error()
		}
	default:
		return 0, err
	}
	n := 0
	for i, e := range r.Events {
		if e.Failed != "" {
			continue
		}
		n++
		at := acks[i].Appended.UTC()
		e.Token = events.Position{Generation: k.Generation, Partition: acks[i].Partition, Offset: acks[i].Offset}.String()
		e.Appended = &at
	}
	if err != nil && n > 0 {
		r.State = statePartly
		err = &exit.PartlyError{Err: err, Resume: "publish the same events once more: copies change nothing"}
	}
	return n, err
}

// Text implements [output.Result]: a line for each event.
func (r *Report) Text(w io.Writer) {
	for _, e := range r.Events {
		for _, f := range e.Faults {
			fmt.Fprintf(w, "event %d: %s\n", e.Number, f)
		}
	}
	if r.State == stateFaulty {
		fmt.Fprintln(w, "nothing is published")
		return
	}
	for _, e := range r.Events {
		what := fmt.Sprintf("%v %s, %s %s", e.Event.Subject, e.Event.Words(), e.Event.Source, e.Event.ID)
		switch {
		case e.Failed != "":
			fmt.Fprintf(w, "not published: %s: %s\n", what, e.Failed)
		case e.Token != "":
			fmt.Fprintf(w, "%s  %s\n", e.Token, what)
		default:
			fmt.Fprintf(w, "would publish %s\n", what)
		}
	}
	if r.State == statePlanned {
		fmt.Fprintf(w, "%d events to %s; say --apply to do it\n", len(r.Events), r.Topic)
	}
}

// Parts implements [output.Many].
func (r *Report) Parts() iter.Seq[any] {
	return func(yield func(any) bool) {
		for _, e := range r.Events {
			if !yield(e) {
				return
			}
		}
	}
}
