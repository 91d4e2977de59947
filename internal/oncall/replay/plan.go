package replay

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/oncall/output"
)

// planFormat is raised when a plan means something else than before.
const planFormat = 1

// Plan is what replaying a range would do, and the world that it was made in. It
// holds no subject and no state: both are fingerprints under the plan's own salt.
// It implements [output.Result].
type Plan struct {
	Format     int       `json:"format"`
	Made       time.Time `json:"made"`
	Cluster    string    `json:"cluster"`
	Topic      string    `json:"topic"`
	Generation uint32    `json:"generation"`
	Partitions int32     `json:"partitions"`

	Since   *time.Time     `json:"since,omitempty"`
	Until   *time.Time     `json:"until,omitempty"`
	Types   []string       `json:"types,omitempty"`
	Subject events.Subject `json:"-"`
	Who     string         `json:"subject,omitempty"` // masked

	OnlyDeny bool `json:"onlydeny"` // what would allow anything is left out
	Act      bool `json:"act"`      // services act on what is repaired

	Salt     string     `json:"salt"`
	Ranges   []Range    `json:"ranges"`
	Services []Service  `json:"services"`
	Mends    []Mend     `json:"mends"`
	Holds    []LostHold `json:"holds"`
	Hash     string     `json:"hash"` // of all the rest
}

// Range is a part of one partition.
type Range struct {
	Partition int32          `json:"partition"`
	From      int64          `json:"from"`
	To        int64          `json:"to"` // excluded
	Records   int            `json:"records"`
	Selected  int            `json:"selected"`
	Strange   int            `json:"strange"` // selected, and no service can apply them: see parked
	Subjects  int            `json:"subjects"`
	Oldest    time.Time      `json:"oldest,omitzero"` // of the selected ones, by the broker's clock
	Newest    time.Time      `json:"newest,omitzero"`
	Types     map[string]int `json:"types"`
	Digest    string         `json:"digest"` // of all records of the range, to know it again
}

// Service is what a replay finds in one service's cache.
type Service struct {
	Service string `json:"service"`
	Buckets int32  `json:"buckets"`
	Parts   []Part `json:"parts"`
}

// Part is the same in one partition. What the effects count are subjects.
type Part struct {
	Partition int32          `json:"partition"`
	Known     bool           `json:"known"` // false: it is being built from the log anyway
	Next      int64          `json:"next"`
	Unchanged int            `json:"unchanged"`
	Effects   map[Effect]int `json:"effects"`
	Kinds     map[Kind]int   `json:"kinds"`
	LeftOut   int            `json:"leftout"` // of those that would allow something
	Unheld    int            `json:"unheld"`  // subjects whose holds were lost
}

// Mend is one state to be replaced.
type Mend struct {
	Service   string           `json:"service"`
	Partition int32            `json:"partition"`
	Subject   string           `json:"subject"` // fingerprints
	Stored    string           `json:"stored"`
	Right     string           `json:"right"`
	Kind      Kind             `json:"kind"`
	Effect    Effect           `json:"effect"`
	Opens     []events.Purpose `json:"opens,omitempty"`
	Closes    []events.Purpose `json:"closes,omitempty"`
}

// Empty says whether nothing is wrong.
func (p *Plan) Empty() bool { return len(p.Mends) == 0 && len(p.Holds) == 0 }

// Count returns how many subjects of a service a replay would have that effect
// on, over all services when none is named.
func (p *Plan) Count(e Effect, service string) (n int) {
	for i := range p.Services {
		if s := &p.Services[i]; service == "" || s.Service == service {
			for j := range s.Parts {
				n += s.Parts[j].Effects[e]
			}
		}
	}
	return n
}

// Unchanged returns how many subjects of a service are right as they are.
func (s *Service) Unchanged() (n int) {
	for i := range s.Parts {
		n += s.Parts[i].Unchanged
	}
	return n
}

// Unheld returns how many subjects lost a hold.
func (s *Service) Unheld() (n int) {
	for i := range s.Parts {
		n += s.Parts[i].Unheld
	}
	return n
}

// Unknown returns the partitions whose cache has no position.
func (s *Service) Unknown() (all []int32) {
	for i := range s.Parts {
		if !s.Parts[i].Known {
			all = append(all, s.Parts[i].Partition)
		}
	}
	return all
}

// Allows returns how many of the mends would allow something.
func (p *Plan) Allows() (n int) {
	for i := range p.Mends {
		if p.Mends[i].Effect == Allow {
			n++
		}
	}
	return n
}

// Text implements [output.Result].
func (p *Plan) Text(w io.Writer) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) } // standard output has no one to tell
	say("replay of %s, generation %d%s\n", p.Topic, p.Generation, p.chosen())
	output.Columns(w, []string{"PARTITION", "FROM", "TO", "RECORDS", "SELECTED", "SUBJECTS", "OLDEST", "NEWEST", "TYPES"}, func(yield func([]string) bool) {
		for i := range p.Ranges {
			if !yield(p.Ranges[i].row()) {
				return
			}
		}
	})
	for i := range p.Services {
		s := &p.Services[i]
		say("%s: would deny %d, would allow %d, same answers %d, unchanged %d%s\n", s.Service,
			p.Count(Deny, s.Service), p.Count(Allow, s.Service), p.Count(Same, s.Service), s.Unchanged(), s.kinds())
		if n := s.Unheld(); n > 0 {
			say("  would hold %d again: an event of theirs is parked, and the hold was lost\n", n)
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
