package simulation

import (
	"fmt"
	"io"
	"strings"
)

// WriteHead writes the head of a table in Markdown.
func WriteHead(w io.Writer, title string) error {
	_, err := fmt.Fprintf(w, "| %s | %s | denials not meant |\n|%s\n",
		title, strings.Join(Columns(), " | "), strings.Repeat(" --- |", len(Columns())+2))
	return err
}

// WriteRow writes one row of it: the counts, and the denials in per cent of the
// histories.
func WriteRow(w io.Writer, r Row) error {
	cells := make([]string, 0, len(r.Reopened)+2)
	cells = append(cells, r.Faults.Name)
	for _, n := range r.Reopened {
		cells = append(cells, grouped(n))
	}
	cells = append(cells, fmt.Sprintf("%.2f %%", 100*float64(r.Denied)/float64(r.Histories)))
	_, err := fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	return err
}

// grouped writes a number as people read it: 18,759.
func grouped(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}
