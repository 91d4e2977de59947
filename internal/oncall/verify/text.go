package verify

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"

	"github.com/kelisim/kelisim/internal/oncall/output"
)

// Text implements [output.Result]: a line for each service and partition, and the sum.
func (r *Report) Text(w io.Writer) {
	defer output.Missing(w, r.Missing)
	for _, d := range r.Found {
		d.Text(w)
	}
	heading := []string{"PARTITION", "SERVICE", "LOG", "NEXT", "SUBJECTS", "DIGEST", "DIFFERENCES", "NOT JUDGED"}
	if r.Records > 0 {
		heading = append(heading, "WINDOW")
	}
	output.Columns(w, heading, func(yield func([]string) bool) {
		for _, p := range r.Partitions {
			for _, s := range p.Services {
				if !yield(s.row(p)) {
					return
				}
			}
		}
	})
	for _, p := range r.Partitions {
		if p.Why != "" {
			fmt.Fprintf(w, "partition %d: the log begins at %d, and snapshots cannot stand in: %s\n", p.Partition, p.From, p.Why)
		}
	}
	for _, p := range r.Cut {
		fmt.Fprintf(w, "partition %d: the log has lost its beginning, and perhaps a part of the window: whom that was about is not judged\n", p)
	}
	fmt.Fprintf(w, "%d events in %.1f s, %.0f a second", r.Events, r.Seconds, r.Rate)
	if r.RawRate > 0 {
		fmt.Fprintf(w, "; reading alone: %.0f a second", r.RawRate)
	}
	fmt.Fprintln(w)
	if r.Records > 0 {
		fmt.Fprintf(w, "%d records in the window: whom they are about is judged, and nobody else; digests are of everybody, so none is compared\n", r.Records)
	}
	fmt.Fprintf(w, "%d subjects, %d differences\n", r.Subjects, r.Differences)
	if r.Unjudged > 0 {
		fmt.Fprintf(w, "%d states were not judged: neither log nor snapshots have all that decides\n", r.Unjudged)
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Kinds)) {
		fmt.Fprintf(w, "  %s: %d\n", kind, r.Kinds[kind])
	}
}

func (s *Service) row(p *Partition) []string {
	next, digest := "unknown", "-"
	if s.Known {
		next = fmt.Sprint(s.Next)
	}
	switch {
	case s.Log == "":
	case s.Log == s.Keeps:
		digest = s.Log
	default:
		digest = s.Keeps + ", not " + s.Log
	}
	log := fmt.Sprintf("%d to %d", p.From, p.To)
	if p.Source == FromSnapshots {
		log = "snapshots, " + log
	}
	row := []string{
		fmt.Sprint(p.Partition), s.Service, log, next, fmt.Sprint(p.Subjects), digest,
		fmt.Sprint(s.Differences), cmp.Or(s.notJudged(), "-"),
	}
	if p.Window != nil {
		row = append(row, fmt.Sprintf("%d to %d", p.Window.From, p.Window.To))
	}
	return row
}

func (s *Service) notJudged() (text string) {
	for what, n := range s.counts() {
		if n == 0 {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%d %s", n, what)
	}
	return text
}

func (s *Service) counts() iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		_ = yield("behind", s.Behind) && yield("moving", s.Moving) && yield("unjudged", s.Unjudged) && yield("dismissed", s.Dismissed) &&
			yield("offsets not applied", s.Unapplied)
	}
}

// Text implements [output.Result]: one line.
func (d Difference) Text(w io.Writer) {
	fmt.Fprintf(w, "%s: %s, partition %d", d.Kind, d.Service, d.Partition)
	if !d.Subject.IsZero() {
		fmt.Fprintf(w, ", %v", d.Subject)
	}
	fmt.Fprintf(w, ": the log gives %s, stored is %s\n", cmp.Or(d.Log, "nothing"), cmp.Or(d.Stored, "nothing"))
}
