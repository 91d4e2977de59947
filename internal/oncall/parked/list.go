package parked

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/oncall/output"
)

// List is what is parked. It implements [output.Many].
type List struct {
	Topic   string
	Cases   []*Case
	Strange int // records that are neither a copy nor a marker
	Now     time.Time
}

// caseJSON is how programs see a case. The subject is masked.
type caseJSON struct {
	First    string         `json:"first"`
	Appended time.Time      `json:"appended"`
	ParkedAt time.Time      `json:"parkedat"`
	State    State          `json:"state"`
	Subject  events.Subject `json:"subject"`
	Named    events.Subject `json:"named"` // whom the event names under the key of somebody, or something, else
	Type     string         `json:"type"`
	Source   string         `json:"source"`
	Reasons  []string       `json:"reasons"`
	Services []string       `json:"services"`
	Held     []string       `json:"held"` // services where it holds its subject now
	Attempts int            `json:"attempts"`
	Copies   []Copy         `json:"copies"`
	Markers  []Marker       `json:"markers"`
}

// MarshalJSON implements [json.Marshaler].
func (c *Case) MarshalJSON() ([]byte, error) {
	return json.Marshal(caseJSON{
		First: c.First.String(), Appended: c.Appended.Time(), ParkedAt: c.ParkedAt().Time(), State: c.State(),
		Subject: c.Subject, Named: c.Named, Type: c.Type, Source: c.Source, Reasons: c.Reasons(), Services: c.Services(),
		Held: c.Held, Attempts: c.Attempts(), Copies: c.Copies, Markers: c.Markers,
	})
}

// Counts returns how many cases are in each state.
func (l *List) Counts() map[State]int {
	counts := map[State]int{Open: 0, Sent: 0, Closed: 0}
	for _, c := range l.Cases {
		counts[c.State()]++
	}
	return counts
}

// reasons counts the open cases by reason.
func (l *List) reasons() map[string]int {
	counts := make(map[string]int)
	for _, c := range l.Cases {
		if c.State() == Open {
			counts[strings.Join(c.Reasons(), ",")]++
		}
	}
	return counts
}

// MarshalJSON implements [json.Marshaler].
func (l *List) MarshalJSON() ([]byte, error) {
	cases := l.Cases
	if cases == nil {
		cases = []*Case{}
	}
	return json.Marshal(struct {
		Topic   string         `json:"topic"`
		Counts  map[State]int  `json:"counts"`
		Reasons map[string]int `json:"reasons"` // of the open ones
		Strange int            `json:"strange"`
		Cases   []*Case        `json:"cases"`
	}{l.Topic, l.Counts(), l.reasons(), l.Strange, cases})
}

// Text implements [output.Result].
func (l *List) Text(w io.Writer) {
	if len(l.Cases) > 0 {
		heading := []string{"FIRST", "AGE", "STATE", "REASON", "SERVICES", "HELD", "TRIES", "SUBJECT", "TYPE", "SOURCE"}
		output.Columns(w, heading, func(yield func([]string) bool) {
			for _, c := range l.Cases {
				row := []string{
					c.First.String(), l.Now.Sub(c.ParkedAt().Time()).Round(time.Second).String(), string(c.State()),
					listed(c.Reasons()), listed(c.Services()), listed(c.Held), strconv.Itoa(c.Attempts()),
					people(c.Subject, c.Named), dash(c.Type), dash(c.Source),
				}
				if !yield(row) {
					return
				}
			}
		})
	}
	counts := l.Counts()
	fmt.Fprintf(w, "%d open, %d redriven, %d dismissed\n", counts[Open], counts[Sent], counts[Closed])
	reasons := l.reasons()
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		fmt.Fprintf(w, "  open, %s: %d\n", reason, reasons[reason])
	}
	if l.Strange > 0 {
		fmt.Fprintf(w, "%d records are no parked events\n", l.Strange)
	}
}

// Parts implements [output.Many].
func (l *List) Parts() iter.Seq[any] {
	return func(yield func(any) bool) {
		for _, c := range l.Cases {
			if !yield(c) {
				return
			}
		}
	}
}

func listed(texts []string) string { return dash(strings.Join(texts, ",")) }

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
