package policy

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
)

func TestWhatIsSeldomMeantIsWarnedOf(t *testing.T) {
	b := bookOf(t, draft{version: "1", published: "2026-11-01"}.build(t))
	covered := func(edit func(*Catalogue)) draft {
		return draft{"2", "2026-12-01", "", func(c *Catalogue) {
			coveredFrom(c, "1")
			edit(c)
		}}
	}
	for name, c := range map[string]struct {
		draft draft
		want  []string // fields
	}{
		"only rewords": {covered(func(c *Catalogue) { purpose(c, "surveys").Clause = "9" }), nil},
		"leaves consent": {covered(func(c *Catalogue) {
			purpose(c, "promotion").Basis, purpose(c, "promotion").Withdrawable, purpose(c, "promotion").CoveredFrom = events.Law, events.No, "2"
		}), []string{"purposes[promotion].basis"}},
		"widens and asks again": {covered(func(c *Catalogue) {
			purpose(c, "surveys").ThirdParty, purpose(c, "surveys").CoveredFrom = true, "2"
		}), nil},
		"asks again for nothing": {covered(func(c *Catalogue) { purpose(c, "surveys").CoveredFrom = "2" }), []string{"purposes[surveys].coveredfrom"}},
		"asks again for a law":   {covered(func(c *Catalogue) { purpose(c, "legal").CoveredFrom = "2" }), nil},
		"can be refused now": {covered(func(c *Catalogue) {
			purpose(c, "surveys").Withdrawable, purpose(c, "surveys").CoveredFrom = events.Refusable, "2"
		}), []string{"purposes[surveys].withdrawable"}},
		"cannot be refused any more": {covered(func(c *Catalogue) { purpose(c, "contractors").Withdrawable = events.Yes }), []string{"purposes[contractors].withdrawable"}},
		"drops a purpose": {covered(func(c *Catalogue) {
			c.Purposes = slices.DeleteFunc(c.Purposes, func(p Purpose) bool { return p.Name == "notices" })
		}), []string{"purposes[notices]"}},
		"trusts clocks more":      {covered(func(c *Catalogue) { c.Uncertainty = 100 }), []string{"clockUncertaintyMs"}},
		"trusts clocks less":      {covered(func(c *Catalogue) { c.Uncertainty = 900 }), nil},
		"is published already":    {draft{version: "1", published: "2026-11-01"}, nil},
		"is other than published": {draft{version: "1", published: "2026-12-01"}, nil},
	} {
		next := c.draft.build(t)
		require.ElementsMatch(t, c.want, fields(Warnings(b, next)), name)
		if next.Version == "2" {
			require.Empty(t, Lint(b, next), "%s: is no fault", name)
		}
	}
	require.Empty(t, Warnings(nil, draft{version: "1", published: "2026-11-01"}.build(t)), "there was nothing before")
	first := Warnings(nil, draft{version: "1", published: "2026-11-01", edit: func(c *Catalogue) {
		purpose(c, "surveys").Withdrawable, c.Uncertainty = events.Refusable, 100
	}}.build(t))
	require.Equal(t, []string{"clockUncertaintyMs", "purposes[surveys].withdrawable"}, fields(first), "the fold goes by the seed too")
	careful := bookOf(t, draft{"1", "2026-11-01", "", func(c *Catalogue) { c.Uncertainty = 700 }}.build(t),
		draft{"2", "2026-11-02", "", func(c *Catalogue) { coveredFrom(c, "1"); c.Uncertainty = 900 }}.build(t))
	require.ErrorContains(t, Warnings(careful, draft{"3", "2026-12-01", "", func(c *Catalogue) { coveredFrom(c, "1") }}.build(t)),
		"less than the 900 of version 2")
	all := Warnings(b, draft{version: "2", published: "2026-12-01"}.build(t))
	require.Len(t, all, 10, "every purpose on consent, and none of the others")
	require.ErrorContains(t, all, `purposes[surveys].coveredfrom: left out: it asks for no more than version 1`)
}
