package show

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kelisim/kelisim/internal/oncall/output"
)

// Text implements [output.Result]: the services, what they answer, and by which
// events.
func (r *Report) Text(w io.Writer) {
	defer output.Missing(w, r.Missing)
	fmt.Fprintf(w, "%v, partition %d\n\n", r.Subject, r.Partition)
	output.Columns(w, []string{"SERVICE", "NEXT", "FRESH", "VERSION", "HELD BY"}, func(yield func([]string) bool) {
		for _, s := range r.Services {
			fresh := "never"
			if s.Fresh != nil {
				fresh = fmt.Sprintf("%.1fs ago", *s.Fresh)
			}
			next := fmt.Sprint(s.Next)
			if !s.Known {
				next = "unknown"
			}
			if !yield([]string{s.Name, next, fresh, cmp.Or(s.Version, "-"), cmp.Or(strings.Join(s.Held, " "), "-")}) {
				return
			}
		}
	})
	fmt.Fprintln(w)
	heading := []string{"PURPOSE"}
	for _, s := range r.Services {
		heading = append(heading, strings.ToUpper(s.Name))
	}
	output.Columns(w, heading, func(yield func([]string) bool) {
		for _, p := range r.Purposes {
			row := []string{string(p)}
			for _, s := range r.Services {
				row = append(row, s.Answers[p].String())
			}
			if !yield(row) {
				return
			}
		}
	})
	r.textDecided(w)
	for _, d := range r.Disagree {
		fmt.Fprintln(w, "DISAGREE "+d)
	}
}

func (r *Report) textDecided(w io.Writer) {
	if len(r.Decided) == 0 {
		return
	}
	fmt.Fprintln(w)
	output.Columns(w, []string{"EVENT", "APPENDED", "WHAT", "SOURCE", "ID"}, func(yield func([]string) bool) {
		for _, e := range r.Decided {
			row := []string{e.Position, e.Appended.Format(time.RFC3339), e.Words(), cmp.Or(e.Source, "-"), cmp.Or(e.ID, "-")}
			if e.Gone {
				row = []string{e.Position, "-", "no longer in the log", "-", "-"}
			}
			if !yield(row) {
				return
			}
		}
	})
}
