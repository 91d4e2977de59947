package replay

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kelisim/kelisim/internal/oncall/output"
)

// Text implements [output.Result].
func (p *Plan) Text(w io.Writer) {
	say := func(format string, args ...any) { fmt.Fprintf(w, format, args...) }
	say("replay of %s, generation %d%s\n", p.Topic, p.Generation, p.chosen())
	output.Columns(w, []string{"PARTITION", "FROM", "TO", "RECORDS", "SELECTED", "SUBJECTS", "OLDEST", "NEWEST", "TYPES"}, func(yield func([]string) bool) {
		for i := range p.Ranges {
			if !yield(p.Ranges[i].row()) {
				return
			}
		}
	})
	for i := range p.Ranges {
		if r := &p.Ranges[i]; r.LogBegins > 0 {
			say("partition %d: the log begins at %d; judged by the snapshots and the log from %d on\n", r.Partition, r.LogBegins, r.Snapshots)
		}
	}
	for i := range p.Services {
		s := &p.Services[i]
		say("%s: would deny %d, would allow %d, same answers %d, unchanged %d%s\n", s.Service,
			p.Count(Deny, s.Service), p.Count(Allow, s.Service), p.Count(Same, s.Service), s.Unchanged(), s.kinds())
		if n := s.Unheld(); n > 0 {
			say("  would hold %d again: an event of theirs is parked, and the hold was lost\n", n)
		}
		if n := s.Unjudged(); n > 0 {
			say("  %d are not judged: the snapshots know events of theirs that the service has not applied\n", n)
		}
		if unknown := s.Unknown(); len(unknown) > 0 {
			say("  partitions %v are being built from the log and were not looked at\n", unknown)
		}
	}
	switch n := p.Allows(); {
	case p.OnlyDeny:
		say("what would allow something is left out\n")
	case n > 0:
		say("%d of the repairs would allow something: --permit-grants and --second-operator are needed\n", n)
	}
	say("%d states to replace, %d holds to lay; plan %s\n", len(p.Mends), len(p.Holds), p.Hash)
}

// chosen says what was selected, with absolute times.
func (p *Plan) chosen() string {
	var out []string
	if p.Since != nil {
		out = append(out, "since "+p.Since.Format(time.RFC3339))
	}
	if p.Until != nil {
		out = append(out, "until "+p.Until.Format(time.RFC3339))
	}
	if len(p.Types) > 0 {
		out = append(out, "of type "+strings.Join(p.Types, ", "))
	}
	if len(p.Sources) > 0 {
		out = append(out, "from "+strings.Join(p.Sources, ", "))
	}
	if p.Filter != "" {
		out = append(out, "where "+p.Filter)
	}
	if p.Who != "" {
		out = append(out, "of "+p.Who)
	}
	if len(out) == 0 {
		return ""
	}
	return ", " + strings.Join(out, ", ")
}

func (s *Service) kinds() string {
	sum := make(map[Kind]int)
	for i := range s.Parts {
		for k, n := range s.Parts[i].Kinds {
			sum[k] += n
		}
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(sum)) {
		out = append(out, fmt.Sprintf("%s %d", k, sum[k]))
	}
	if len(out) == 0 {
		return ""
	}
	return " (" + strings.Join(out, ", ") + ")"
}

func (r *Range) row() []string {
	var types []string
	for _, t := range slices.Sorted(maps.Keys(r.Types)) {
		types = append(types, fmt.Sprintf("%s %d", shortType(t), r.Types[t]))
	}
	moment := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.Format(time.RFC3339)
	}
	n := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []string{
		n(int64(r.Partition)), n(r.From), n(r.To), n(int64(r.Records)), n(int64(r.Selected)), n(int64(r.Subjects)),
		moment(r.Oldest), moment(r.Newest), strings.Join(types, " "),
	}
}

// shortType is the part of a type's name that tells it from the others.
func shortType(name string) string {
	return strings.TrimSuffix(strings.TrimPrefix(name, "io.kelisim."), ".v1")
}
