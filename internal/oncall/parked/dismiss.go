package parked

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
)

// Dismissal is what nobody will redrive. It implements [output.Result].
type Dismissal struct {
	Reason   string          `json:"reason"`
	Services []string        `json:"services"` // whose holds are released
	Items    []DismissedItem `json:"items"`

	cases []*Case
}

// DismissedItem is one case of a dismissal.
type DismissedItem struct {
	First   string         `json:"first"`
	Subject events.Subject `json:"subject"`
	Named   events.Subject `json:"named"` // see [Case]
	Type    string         `json:"type"`
	Reasons []string       `json:"reasons"`
	Held    []string       `json:"held"`  // where it holds its subject before
	Opens   []string       `json:"opens"` // services that would then allow something that they deny now
}

// PlanDismissal says what dismissing the cases would release. What is dismissed
// everywhere already is left out. A dismissal of a restriction loses it: say why.
func (d *Desk) PlanDismissal(ctx context.Context, cases []*Case, reason string) (*Dismissal, error) {
	if reason == "" {
		return nil, exit.Misused("a dismissal needs a reason")
	}
	if err := d.Holds(ctx, cases); err != nil {
		return nil, err
	}
	plan := &Dismissal{Reason: reason, Services: slices.Sorted(maps.Keys(d.Caches)), Items: []DismissedItem{}}
	for _, c := range cases {
		if c.State() == Closed {
			continue
		}
		plan.cases = append(plan.cases, c)
	}
	for _, c := range plan.cases {
		opens, err := d.opens(ctx, c, plan.cases)
		if err != nil {
			return nil, fmt.Errorf("parked event of %v: %w", c.First, err)
		}
		plan.Items = append(plan.Items, DismissedItem{
			First: c.First.String(), Subject: c.Subject, Named: c.Named, Type: c.Type, Reasons: c.Reasons(), Held: c.Held, Opens: opens,
		})
	}
	return plan, nil
}

// Opens counts the cases whose dismissal would allow somebody something.
func (p *Dismissal) Opens() (n int) {
	for i := range p.Items {
		if len(p.Items[i].Opens) > 0 {
			n++
		}
	}
	return n
}

// Permit refuses a dismissal that would allow something, unless two people say so.
func (p *Dismissal) Permit(by Permit) error {
	if p.Opens() == 0 {
		return nil
	}
	return by.allows(fmt.Sprintf("%d of the dismissals would allow something that is denied now", p.Opens()))
}

// Dismiss writes down that the cases are dismissed, and then releases what they
// hold, in every service and for good: a later building from the log parks the
// event again and holds nobody. Done again after an interruption it goes on.
func (d *Desk) Dismiss(ctx context.Context, plan *Dismissal) error {
	for i, c := range plan.cases {
		err := ctx.Err()
		if err == nil && !(len(c.Markers) > 0 && c.Markers[len(c.Markers)-1].Deed == Dismissed) {
			err = d.mark(ctx, c, Marker{Deed: Dismissed, Reason: plan.Reason})
		}
		if err == nil {
			err = d.release(ctx, c)
		}
		if err != nil {
			return &exit.PartlyError{Err: fmt.Errorf("after %d of %d events: %w", i, len(plan.cases), err), Resume: "the same command"}
		}
	}
	return nil
}

// Text implements [output.Result].
func (p *Dismissal) Text(w io.Writer) {
	output.Columns(w, []string{"FIRST", "SUBJECT", "TYPE", "REASON", "HELD", "WOULD ALLOW IN"}, func(yield func([]string) bool) {
		for _, it := range p.Items {
			if !yield([]string{it.First, people(it.Subject, it.Named), dash(it.Type), listed(it.Reasons), listed(it.Held), listed(it.Opens)}) {
				return
			}
		}
	})
	fmt.Fprintf(w, "%d to dismiss in %s: %s\n", len(p.Items), listed(p.Services), p.Reason)
	if n := p.Opens(); n > 0 {
		fmt.Fprintf(w, "%d of them would allow something that is denied now: --permit-grants and --second-operator are needed\n", n)
	}
}
