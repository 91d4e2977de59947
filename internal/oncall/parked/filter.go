package parked

import (
	"slices"
	"time"

	"github.com/kelisim/kelisim/events"
)

// Filter chooses cases. Its zero fields choose all.
type Filter struct {
	Positions    []events.Position
	Reasons      []string
	Services     []string
	Sources      []string
	Types        []string
	States       []State
	Subject      events.Subject
	Since, Until time.Time // when it was first parked; Until is excluded
}

// Choose returns the cases that the filter wants, in their order.
func (f *Filter) Choose(cases []*Case) []*Case {
	return slices.DeleteFunc(slices.Clone(cases), func(c *Case) bool { return !f.wants(c) })
}

func (f *Filter) wants(c *Case) bool {
	at := c.ParkedAt().Time()
	return one(f.Positions, c.First) && some(f.Reasons, c.Reasons()) && some(f.Services, c.Services()) &&
		one(f.Sources, c.Source) && one(f.Types, c.Type) && one(f.States, c.State()) &&
		(f.Subject.IsZero() || slices.Contains(c.subjects(), f.Subject)) &&
		(f.Since.IsZero() || !at.Before(f.Since)) && (f.Until.IsZero() || at.Before(f.Until))
}

func one[T comparable](wanted []T, is T) bool { return len(wanted) == 0 || slices.Contains(wanted, is) }

func some[T comparable](wanted, are []T) bool {
	return len(wanted) == 0 || slices.ContainsFunc(are, func(v T) bool { return slices.Contains(wanted, v) })
}
