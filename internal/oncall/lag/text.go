package lag

import (
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/kelisim/kelisim/internal/oncall/output"
)

// Text implements [output.Result].
func (r *Report) Text(w io.Writer) {
	defer output.Missing(w, r.Missing)
	heading := []string{"SERVICE", "PARTITION", "STATUS", "RECORDS", "SECONDS", "PER SECOND", "LEFT", "PROVED", "TO ACT", "NEXT", "END"}
	output.Columns(w, heading, func(yield func([]string) bool) {
		for i := range r.Partitions {
			if !yield(r.Partitions[i].row()) {
				return
			}
		}
	})
}

func (p *Partition) row() []string {
	next, proved, left := "never", "never", "-"
	if p.Next >= 0 {
		next = fmt.Sprint(p.Next)
	}
	if p.Proved != nil {
		proved = fmt.Sprintf("%.1fs ago", *p.Proved)
	}
	if p.Behind > 0 && p.Rate > 0 {
		left = time.Duration(float64(p.Behind) / p.Rate * float64(time.Second)).Round(time.Second).String()
	}
	return []string{
		p.Service, fmt.Sprint(p.Partition), string(p.Status), fmt.Sprint(p.Behind), fmt.Sprintf("%.1f", p.Seconds),
		fmt.Sprintf("%.0f", p.Rate), left, proved, fmt.Sprint(p.Waiting), next, fmt.Sprint(p.End),
	}
}

// Parts implements [output.Many].
func (r *Report) Parts() iter.Seq[any] {
	return func(yield func(any) bool) {
		for i := range r.Partitions {
			if !yield(&r.Partitions[i]) {
				return
			}
		}
	}
}
