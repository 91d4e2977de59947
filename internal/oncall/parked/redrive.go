package parked

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"golang.org/x/time/rate"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
)

// maxRedrive bounds one redrive: the bytes of its events are in memory.
const maxRedrive = 10_000

// Step says what a redrive does with a case.
type Step string

// The steps.
const (
	Publish Step = "publish"
	Note    Step = "note" // it was published already, and nobody said so
	Skip    Step = "skip"
	Refuse  Step = "refuse"
)

// Item is one case of a redrive.
type Item struct {
	First   string         `json:"first"`
	Subject events.Subject `json:"subject"`
	Type    string         `json:"type"`
	Reasons []string       `json:"reasons"`
	Attempt int            `json:"attempt"`
	Step    Step           `json:"step"`
	Why     string         `json:"why,omitempty"` // of skip and refuse
	At      string         `json:"at,omitempty"`  // where it stands, once it is published

	Correction *Correction `json:"correction,omitempty"`

	c *Case
	o original
}

// Redrive is what is to be published again, oldest first. It implements
// [output.Result].
type Redrive struct {
	Topic  string `json:"topic"`
	Reason string `json:"reason"`
	Items  []Item `json:"items"`
}

// PlanRedrive says what redriving the cases would do. What would be parked again
// for the same reason is refused unless force is set, and so is what somebody
// dismissed; what was redriven already and not parked again is skipped.
func (d *Desk) PlanRedrive(ctx context.Context, cases []*Case, reason string, force bool) (*Redrive, error) {
	return d.planRedrive(ctx, cases, reason, force, func(*Item) error { return nil })
}

// planRedrive lets an item be changed before it is decided on.
func (d *Desk) planRedrive(ctx context.Context, cases []*Case, reason string, force bool, change func(*Item) error) (*Redrive, error) {
	if len(cases) > maxRedrive {
		return nil, exit.Misused("%d events at once: at most %d; choose fewer", len(cases), maxRedrive)
	}
	ends, err := d.Log.Offsets(ctx, d.Topics.Events)
	if err != nil {
		return nil, err
	}
	bytes, err := d.originals(ctx, cases)
	if err != nil {
		return nil, err
	}
	sent, err := d.sent(ctx, cases, ends)
	if err != nil {
		return nil, err
	}
	plan := &Redrive{Topic: d.Topics.Events, Reason: reason, Items: make([]Item, 0, len(cases))}
	for _, c := range cases {
		it := Item{
			First: c.First.String(), Subject: c.Subject, Type: c.Type, Reasons: c.Reasons(), Attempt: c.Attempts() + 1,
			c: c, o: bytes[c.First],
		}
		if err := change(&it); err != nil {
			return nil, fmt.Errorf("parked event of %v: %w", c.First, err)
		}
		if err := d.decide(ctx, &it, sent[c.First], ends, force); err != nil {
			return nil, fmt.Errorf("parked event of %v: %w", c.First, err)
		}
		if it.Step != Publish {
			it.Correction = nil // of it nothing is written
		}
		plan.Items = append(plan.Items, it)
	}
	return plan, nil
}

// decide chooses the step of one case.
func (d *Desk) decide(ctx context.Context, it *Item, sent []events.Position, ends map[int32]stream.Offsets, force bool) error {
	for _, at := range sent {
		known := slices.ContainsFunc(it.c.Markers, func(m Marker) bool { return m.Deed == Redriven && m.at == at })
		if !known {
			it.Step, it.At = Note, at.String()
			return nil
		}
	}
	switch it.c.State() {
	case Sent:
		it.Step, it.Why = Skip, "redriven already, and not parked again"
		return nil
	case Closed:
		if !force {
			it.Step, it.Why = Refuse, "dismissed: --force redrives it all the same"
			return nil
		}
	}
	fault, err := d.fault(ctx, &it.o, it.c, ends[events.PartitionOf(it.c.key, d.Topics.Partitions)])
	if err != nil {
		return err
	}
	it.Step = Publish
	if fault != "" && !force {
		it.Step, it.Why = Refuse, "would be parked again: "+fault
	}
	return nil
}

// Count returns how many cases have a step.
func (r *Redrive) Count(s Step) (n int) {
	for i := range r.Items {
		if r.Items[i].Step == s {
			n++
		}
	}
	return n
}

// Apply publishes what is planned, so many events a second (0: no limit), and
// writes a marker behind each. It can be interrupted anywhere and done again: what
// is in the log is found there.
func (d *Desk) Apply(ctx context.Context, r *Redrive, perSecond float64, tell func(*Item)) error {
	limit := rate.Inf
	if perSecond > 0 {
		limit = rate.Limit(perSecond)
	}
	pace := rate.NewLimiter(limit, 1)
	done := 0
	for i := range r.Items {
		it := &r.Items[i]
		if it.Step != Publish && it.Step != Note {
			continue
		}
		err := pace.Wait(ctx)
		if err == nil {
			err = d.redrive(ctx, it, r.Reason)
		}
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return &exit.PartlyError{Err: fmt.Errorf("after %d of %d events: %w", done, r.Count(Publish)+r.Count(Note), err), Resume: "the same command"}
		}
		done++
		tell(it)
	}
	return nil
}

// markTimeout bounds writing a marker after a signal came: its event is out.
const markTimeout = 10 * time.Second

// redrive publishes one event, and then says so.
func (d *Desk) redrive(ctx context.Context, it *Item, reason string) error {
	if it.Step == Publish {
		partition := stream.AnyPartition
		if len(it.o.key) == 0 {
			partition = it.c.First.Partition // only force brings it here: nobody can apply it
		}
		first := events.Stamp{Position: it.c.First, Appended: it.c.Appended}
		ack, err := d.Publisher.Publish(ctx, it.o.again(d.Topics.Events, partition, first, it.Attempt))
		if err != nil {
			return fmt.Errorf("publish the event of %v: %w", it.c.First, err)
		}
		it.At = events.Position{Generation: d.Topics.Generation, Partition: ack.Partition, Offset: ack.Offset}.String()
	}
	return d.mark(ctx, it.c, Marker{Deed: Redriven, At: it.At, Attempt: it.Attempt, Reason: reason, Correction: it.Correction})
}

// mark writes what was done about a case behind its copies.
func (d *Desk) mark(ctx context.Context, c *Case, m Marker) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), markTimeout)
	defer cancel()
	m.First, m.Operator, m.Time = c.First.String(), d.Operator, d.now().UTC()
	message, err := m.message(d.Topics.Parked, c.Copies[0].Partition, c.key)
	if err != nil {
		return err
	}
	if _, err := d.Publisher.Publish(ctx, message); err != nil {
		return fmt.Errorf("note that %v was %s: %w", c.First, m.Deed, err)
	}
	return nil
}

// Text implements [output.Result].
func (r *Redrive) Text(w io.Writer) {
	output.Columns(w, []string{"FIRST", "STEP", "TRY", "SUBJECT", "TYPE", "REASON", "NOTE"}, func(yield func([]string) bool) {
		for i := range r.Items {
			it := &r.Items[i]
			note := it.Why
			if it.At != "" {
				note = "now at " + it.At
			}
			row := []string{it.First, string(it.Step), strconv.Itoa(it.Attempt), it.Subject.String(), dash(it.Type), listed(it.Reasons), dash(note)}
			if !yield(row) {
				return
			}
		}
	})
	fmt.Fprintf(w, "%d to publish, %d published before, %d skipped, %d refused\n",
		r.Count(Publish), r.Count(Note), r.Count(Skip), r.Count(Refuse))
}
