package trace

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/kelisim/kelisim/internal/oncall/output"
)

// Text implements [output.Result]: a line for each event.
func (t *Timeline) Text(w io.Writer) {
	fmt.Fprintf(w, "%v, partition %d, %d events\n", t.Subject, t.Partition, len(t.Events))
	heading := []string{"EVENT", "APPENDED", "WHAT", "VERDICT"}
	for _, s := range t.Services {
		heading = append(heading, strings.ToUpper(s))
	}
	output.Columns(w, append(heading, "SOURCE", "ID"), func(yield func([]string) bool) {
		for _, e := range t.Events {
			verdict := e.Verdict
			if e.Reason != "" {
				verdict += ": " + e.Reason
			}
			row := []string{e.Position, e.Appended.Format("2006-01-02T15:04:05.000Z07:00"), e.Words(), verdict}
			for _, a := range e.Applied {
				row = append(row, a.words())
			}
			if !yield(append(row, cmp.Or(e.Source, "-"), cmp.Or(e.ID, "-"))) {
				return
			}
		}
	})
}

// words says when a service applied an event, and whether it has acted since.
func (a Applied) words() string {
	if a.Decided == nil {
		return "no receipt"
	}
	text := "after " + (time.Duration(a.Took * float64(time.Second))).Round(time.Millisecond).String()
	if a.Acted == nil {
		text += ", not acted"
	}
	return text
}

// Parts implements [output.Many].
func (t *Timeline) Parts() iter.Seq[any] {
	return func(yield func(any) bool) {
		for _, e := range t.Events {
			if !yield(e) {
				return
			}
		}
	}
}
