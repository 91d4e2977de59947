package rebuild

import (
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/output"
)

// Where a partition was built from.
const (
	FromSnapshots = "snapshots"
	FromLog       = "log"
)

// Plan says what a swap would change, or has changed. It holds no subject.
type Plan struct {
	Service    string  `json:"service"`
	Subjects   int64   `json:"subjects"`
	WouldDeny  int64   `json:"wouldDeny"`  // subjects that are allowed something now, and would not be
	WouldAllow int64   `json:"wouldAllow"` // subjects that are denied something now, and would be allowed it
	Otherwise  int64   `json:"otherwise"`  // subjects whose state is another, with the same answers
	Unchanged  int64   `json:"unchanged"`
	Partitions []*Part `json:"partitions"`
}

// Part is the plan of one partition.
type Part struct {
	Partition  int32    `json:"partition"`
	Source     string   `json:"source"`               // snapshots, or log
	Why        string   `json:"why,omitempty"`        // it was not built from snapshots
	From       int64    `json:"from"`                 // the log was read from here on
	Live       int64    `json:"live"`                 // position of the live cache, when compared
	Staged     int64    `json:"staged"`               // of the rebuilt one
	Digest     string   `json:"digest"`               // of the rebuilt states there
	Verified   []string `json:"verified,omitempty"`   // services whose cache had the same digest at the same position
	Unverified string   `json:"unverified,omitempty"` // why that is not enough
	Unheard    []string `json:"unheard,omitempty"`    // services that never stood at the same position
	Subjects   int64    `json:"subjects"`
	WouldDeny  int64    `json:"wouldDeny"`
	WouldAllow int64    `json:"wouldAllow"`
	Otherwise  int64    `json:"otherwise"`
	Unchanged  int64    `json:"unchanged"`
	Swapped    bool     `json:"swapped"`
}

func (p *Plan) add(part *Part) {
	p.Partitions = append(p.Partitions, part)
	p.Subjects += part.Subjects
	p.WouldDeny += part.WouldDeny
	p.WouldAllow += part.WouldAllow
	p.Otherwise += part.Otherwise
	p.Unchanged += part.Unchanged
}

// Changes counts the subjects whose state is another.
func (p *Plan) Changes() int64 { return p.WouldDeny + p.WouldAllow + p.Otherwise }

// Finds says whether there is something to look at: something would change, or is
// not verified.
func (p *Plan) Finds() bool { return p.Changes() > 0 || p.unverified() > 0 }

// Swapped counts the partitions that were swapped.
func (p *Plan) Swapped() (n int) {
	for _, part := range p.Partitions {
		if part.Swapped {
			n++
		}
	}
	return n
}

// Text implements [output.Result].
func (p *Plan) Text(w io.Writer) {
	output.Columns(w, []string{"PARTITION", "FROM", "AT", "VERIFIED BY", "DENY", "ALLOW", "OTHERWISE", "UNCHANGED", "SWAPPED"}, p.rows())
	for _, part := range p.Partitions {
		if part.Why != "" {
			fmt.Fprintf(w, "partition %d was built from %s: %s\n", part.Partition, part.source(), part.Why)
		}
		if part.Unverified != "" {
			fmt.Fprintf(w, "partition %d is not verified: %s\n", part.Partition, part.Unverified)
		}
	}
	switch n := p.Swapped(); {
	case n == 0:
		fmt.Fprintf(w, "%s: would deny %d, would allow %d, otherwise change %d, unchanged %d\n",
			p.Service, p.WouldDeny, p.WouldAllow, p.Otherwise, p.Unchanged)
	default:
		fmt.Fprintf(w, "%s: swapped %d of %d partitions: denied %d, allowed %d, otherwise changed %d, unchanged %d\n",
			p.Service, n, len(p.Partitions), p.WouldDeny, p.WouldAllow, p.Otherwise, p.Unchanged)
	}
}

func (p *Plan) rows() iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for _, part := range p.Partitions {
			row := []string{
				strconv.Itoa(int(part.Partition)), part.source(), strconv.FormatInt(part.Staged, 10), strings.Join(part.Verified, " "),
				strconv.FormatInt(part.WouldDeny, 10), strconv.FormatInt(part.WouldAllow, 10),
				strconv.FormatInt(part.Otherwise, 10), strconv.FormatInt(part.Unchanged, 10), strconv.FormatBool(part.Swapped),
			}
			if !yield(row) {
				return
			}
		}
	}
}

// source says in words what a partition was built from.
func (p *Part) source() string {
	switch {
	case p.Source == FromSnapshots:
		return "snapshots and log from " + strconv.FormatInt(p.From, 10)
	case p.From > 0:
		return "what the log has from " + strconv.FormatInt(p.From, 10)
	}
	return "the whole log"
}

// unverified counts the partitions that no other cache bears out.
func (p *Plan) unverified() (n int) {
	for _, part := range p.Partitions {
		if part.Unverified != "" {
			n++
		}
	}
	return n
}

// Permit is what people agreed to. The zero Permit agrees to nothing that opens or
// is not borne out.
type Permit struct {
	Grants           bool  // some may be allowed what is denied now
	ExpectAllow      int64 // and so many, by the plan that was looked at; no more
	Unverified       bool  // what no other cache bears out, or one contradicts, may be swapped
	Operator, Second string
}

// Refuse says which rule forbids the swap, if one does: what would be allowed again,
// and what is not verified, needs a permit and a second person who agrees.
func (p *Plan) Refuse(by Permit) error {
	operator, second := strings.TrimSpace(by.Operator), strings.TrimSpace(by.Second)
	var what string
	if n := p.unverified(); n > 0 {
		what = fmt.Sprintf("%d partitions are not verified", n)
		if !by.Unverified {
			return exit.Refuse("%s: that needs --unverified", what)
		}
	}
	if p.WouldAllow > 0 {
		what = fmt.Sprintf("it would allow %d subjects what is denied now", p.WouldAllow)
		switch {
		case !by.Grants:
			return exit.Refuse("%s: that needs --permit-grants", what)
		case p.WouldAllow > by.ExpectAllow:
			return exit.Refuse("%s, and not %d: look at the plan and say --expect-allow", what, by.ExpectAllow)
		}
	}
	switch {
	case what == "":
		return nil
	case second == "":
		return exit.Refuse("%s: a second operator must agree (--second-operator)", what)
	case strings.EqualFold(second, operator):
		return exit.Refuse("%s: the second operator must be another person than %s", what, operator)
	}
	return nil
}
