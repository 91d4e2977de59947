package retention

import (
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/oncall/output"
)

// Row is one subject. The subject is masked unless it was asked to be shown.
type Row struct {
	Partition int32            `json:"partition"`
	Subject   string           `json:"subject"`
	Ended     *time.Time       `json:"ended,omitempty"` // of the agreement
	Due       time.Time        `json:"due"`             // of the erasure, or of the first review
	Purposes  []events.Purpose `json:"purposes,omitempty"`
	State     string           `json:"state"`
}

// What a row's state can be.
const (
	Later  = "later"  // not due yet
	Due    = "due"    // the next sweep publishes the erasure; or the review is to be made
	Frozen = "frozen" // due, and under a block
	Held   = "held"   // due, and an event is parked
	Gone   = "gone"   // the calendar is behind the state: nothing is due any more
)

// Count is what one partition holds.
type Count struct {
	Partition  int32 `json:"partition"`
	Listed     int   `json:"listed"`
	Retentions int64 `json:"retentions"` // running, due or not
	Reviews    int64 `json:"reviews"`    // open, overdue or not
	Overdue    int64 `json:"overdue"`    // of these, alarmed
	Suppressed int64 `json:"suppressed"`
}

// List is what is due by a moment. It implements [output.Many].
type List struct {
	Version events.PolicyVersion `json:"version,omitempty"` // whose retention counts; empty: none is in force, and nothing is due
	By      time.Time            `json:"by"`
	Rows    []Row                `json:"rows"`
	Counts  []Count              `json:"counts"`
	More    bool                 `json:"more"` // there are more than were asked for
}

// Parts implements [output.Many].
func (l *List) Parts() iter.Seq[any] {
	return func(yield func(any) bool) {
		for i := range l.Rows {
			if !yield(&l.Rows[i]) {
				return
			}
		}
	}
}

// Text implements [output.Result].
func (l *List) Text(w io.Writer) {
	if len(l.Rows) > 0 {
		output.Columns(w, []string{"PARTITION", "SUBJECT", "ENDED", "DUE", "STATE", "PURPOSES"}, l.lines)
		fmt.Fprintln(w)
	}
	output.Columns(w, []string{"PARTITION", "LISTED", "RETENTIONS", "REVIEWS", "OVERDUE", "SUPPRESSED"}, l.totals)
	if l.More {
		fmt.Fprintln(w, "\nThere are more; --limit says how many are shown.")
	}
	if l.Version == "" {
		fmt.Fprintln(w, "\nNo version of the policy is in force: nobody knows for how long to keep, and nobody is erased.")
	}
}

func (l *List) lines(yield func([]string) bool) {
	for i := range l.Rows {
		r, ended, purposes := &l.Rows[i], "-", make([]string, 0, 1)
		if r.Ended != nil {
			ended = r.Ended.Format(time.RFC3339)
		}
		for _, p := range r.Purposes {
			purposes = append(purposes, string(p))
		}
		if !yield([]string{strconv.Itoa(int(r.Partition)), r.Subject, ended, r.Due.Format(time.RFC3339), r.State, strings.Join(purposes, ",")}) {
			return
		}
	}
}

func (l *List) totals(yield func([]string) bool) {
	for _, c := range l.Counts {
		line := []string{strconv.Itoa(int(c.Partition)), strconv.Itoa(c.Listed)}
		for _, n := range []int64{c.Retentions, c.Reviews, c.Overdue, c.Suppressed} {
			line = append(line, strconv.FormatInt(n, 10))
		}
		if !yield(line) {
			return
		}
	}
}
