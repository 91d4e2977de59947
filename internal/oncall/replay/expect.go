package replay

import (
	"fmt"
	"io"
	"maps"
	"slices"
)

// Expect says what carrying the plan out would come to. It implements
// [output.Result].
type Expect struct {
	Plan     string              `json:"plan"`
	Services map[string]Expected `json:"services"`
	Done     int                 `json:"done"` // partitions that an earlier try finished
}

// Expected is what is to be expected in one service, in subjects.
type Expected struct {
	Due     int `json:"due"`     // to be repaired
	Settled int `json:"settled"` // right already
	MovedOn int `json:"movedon"` // need a new plan
}

// Expect returns what the check found.
func (w *Work) Expect() *Expect {
	e := &Expect{Plan: w.plan.Hash, Services: make(map[string]Expected), Done: len(w.done.Done)}
	for i := range w.plan.Services {
		e.Services[w.plan.Services[i].Service] = Expected{}
	}
	for _, p := range w.parts {
		sum := e.Services[p.service]
		e.Services[p.service] = Expected{sum.Due + p.expected.Due, sum.Settled + p.expected.Settled, sum.MovedOn + p.expected.MovedOn}
	}
	return e
}

// Text implements [output.Result].
func (e *Expect) Text(w io.Writer) {
	for _, service := range slices.Sorted(maps.Keys(e.Services)) {
		x := e.Services[service]
		fmt.Fprintf(w, "%s: would repair %d, right already %d, moved on %d\n", service, x.Due, x.Settled, x.MovedOn)
	}
	if e.Done > 0 {
		fmt.Fprintf(w, "%d partitions are done\n", e.Done)
	}
	fmt.Fprintf(w, "the plan fits; say --apply to carry it out; plan %s\n", e.Plan)
}
