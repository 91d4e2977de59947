package replay

import (
	"fmt"
	"io"
	"maps"
	"slices"
)

// Counts are what became of the mends of a plan, in subjects.
type Counts struct {
	Mended  int `json:"mended"`
	Held    int `json:"held"`    // holds laid again
	Settled int `json:"settled"` // right already: by the owner, or by an earlier try
	MovedOn int `json:"movedon"` // an event came since the plan was made: they need a new plan
}

func (c *Counts) add(o Counts) {
	c.Mended, c.Held, c.Settled, c.MovedOn = c.Mended+o.Mended, c.Held+o.Held, c.Settled+o.Settled, c.MovedOn+o.MovedOn
}

// Report is what carrying a plan out came to. It implements [output.Result].
type Report struct {
	Plan     string            `json:"plan"`
	Services map[string]Counts `json:"services"`
	Busy     []string          `json:"busy"`  // partitions whose digest could not be worked out for all the writing
	Right    int               `json:"right"` // of the planned subjects, looked at once more behind it all
	Wrong    map[Kind]int      `json:"wrong"`
}

// Total returns the counts of all services.
func (r *Report) Total() (all Counts) {
	for _, c := range r.Services {
		all.add(c)
	}
	return all
}

func (r *Report) add(service string, c Counts) {
	sum := r.Services[service]
	sum.add(c)
	r.Services[service] = sum
}

// Text implements [output.Result].
func (r *Report) Text(w io.Writer) {
	say := func(format string, args ...any) { fmt.Fprintf(w, format, args...) }
	for _, service := range slices.Sorted(maps.Keys(r.Services)) {
		c := r.Services[service]
		say("%s: repaired %d, held again %d, right already %d, moved on %d\n", service, c.Mended, c.Held, c.Settled, c.MovedOn)
	}
	say("looked at again: %d right", r.Right)
	for _, k := range slices.Sorted(maps.Keys(r.Wrong)) {
		say(", %s %d", k, r.Wrong[k])
	}
	say("; plan %s\n", r.Plan)
	if len(r.Busy) > 0 {
		say("busy, so the digest was not worked out anew: %v\n", r.Busy)
	}
}
