package policy

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelisim/kelisim/events"
)

func TestDiffSaysInWordsWhatChanges(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*Catalogue, *Purpose) // of research
		want string
	}{
		"recipient":        {func(_ *Catalogue, p *Purpose) { p.Recipients = append(p.Recipients, "x") }, "research widens: new recipient x"},
		"fewer recipients": {func(_ *Catalogue, p *Purpose) { p.Recipients = p.Recipients[1:] }, "research narrows: no recipient affiliates any more"},
		"data category":    {func(_ *Catalogue, p *Purpose) { p.DataCategories = append(p.DataCategories, "phone") }, "research widens: new data category phone"},
		"cross-border":     {func(_ *Catalogue, p *Purpose) { p.CrossBorder = []string{"DE"} }, "research widens: new country abroad DE"},
		"dissemination":    {func(_ *Catalogue, p *Purpose) { p.Dissemination = true }, "research widens: made public"},
		"third party":      {func(_ *Catalogue, p *Purpose) { p.ThirdParty = false }, "research narrows: not handed to third parties any more"},
		"longer":           {func(_ *Catalogue, p *Purpose) { p.Retention = Period{years: 5} }, "research widens: kept for P5Y, was P3Y"},
		"shorter":          {func(_ *Catalogue, p *Purpose) { p.Retention = Period{months: 6} }, "research narrows: kept for P6M, was P3Y"},
		"basis":            {func(_ *Catalogue, p *Purpose) { p.Basis = events.Contract }, "research widens: basis contract, was consent"},
		"withdrawability":  {func(_ *Catalogue, p *Purpose) { p.Withdrawable = events.Refusable }, "research widens: withdrawable refusable, was yes"},
		"label":            {func(_ *Catalogue, p *Purpose) { p.Labels.Kazakh = "Зерттеу" }, `research rewords: label in kk "Зерттеу", was "Зерттеулер және сапаны арттыру"`},
		"clause":           {func(_ *Catalogue, p *Purpose) { p.Clause = "9" }, "research rewords: clause 9, was 2.2(8), 4.2"},
		"service":          {func(_ *Catalogue, p *Purpose) { p.Services = nil }, "research rewords: no acting service marketing any more"},
		"new purpose": {func(c *Catalogue, p *Purpose) {
			q := *p
			q.Code, q.Name = 20, "poetry"
			c.Purposes = append(c.Purposes, q)
		}, "poetry widens: new purpose"},
		"purpose dropped":   {func(c *Catalogue, _ *Purpose) { c.Purposes = c.Purposes[:12] }, "cross-border narrows: purpose dropped"},
		"operator's name":   {func(c *Catalogue, _ *Purpose) { c.Operator.Name = "x" }, "policy rewords: operator «AITU - Dala» ЖШС is called x"},
		"text":              {func(c *Catalogue, _ *Purpose) { c.Texts[0].URI = "https://a.kz/" }, "policy rewords: texts are others"},
		"clock uncertainty": {func(c *Catalogue, _ *Purpose) { c.Uncertainty = 1 }, "policy rewords: clock uncertainty 1 ms, was 500 ms"},
	} {
		old := draft{version: "1", published: "2026-11-01"}.build(t)
		next := draft{version: "2", published: "2026-12-01", edit: func(n *Catalogue) { c.edit(n, purpose(n, "research")) }}.build(t)
		changes := Diff(old, next)
		require.Len(t, changes, 1, name)
		require.Equal(t, c.want, changes[0].String(), name)
		require.Equal(t, changes[0].Kind == Widening, Widens(old, next, changes[0].Purpose), name)
	}
}

func TestAnotherOperatorWidensEveryPurpose(t *testing.T) {
	old := draft{version: "1", published: "2026-11-01"}.build(t)
	next := draft{version: "2", published: "2026-12-01", edit: func(c *Catalogue) { c.Operator.BIN = "123456789012" }}.build(t)
	for _, p := range old.Purposes {
		require.True(t, Widens(old, next, p.Name), p.Name)
	}
	require.False(t, Widens(old, next, "nothing"))
}

func TestAnyCountryHoldsEveryOther(t *testing.T) {
	build := func(countries ...string) *Catalogue {
		return draft{version: "1", published: "2026-11-01", edit: func(c *Catalogue) { purpose(c, "cross-border").CrossBorder = countries }}.build(t)
	}
	for _, c := range []struct {
		was, now       []string
		widens, silent bool
	}{
		{[]string{"any"}, []string{"DE"}, false, false},
		{[]string{"DE"}, []string{"any"}, true, false},
		{[]string{"DE"}, []string{"DE", "FR"}, true, false},
		{[]string{"DE", "FR"}, []string{"FR"}, false, false},
		{[]string{"any"}, []string{"any"}, false, true},
		{[]string{}, []string{"any"}, true, false},
		{[]string{"any"}, []string{}, false, false},
	} {
		old, next := build(c.was...), build(c.now...)
		require.Equal(t, c.widens, Widens(old, next, "cross-border"), "%s to %s", c.was, c.now)
		require.Equal(t, c.silent, len(Diff(old, next)) == 0, "%s to %s", c.was, c.now)
	}
}

func TestKindsHaveNamesAndTheZeroKindWidens(t *testing.T) {
	text, err := json.Marshal(Change{Purpose: "a", What: "b"})
	require.NoError(t, err)
	require.JSONEq(t, `{"purpose":"a","kind":"widens","what":"b"}`, string(text))
	require.Equal(t, "unknown", Kind(9).String())
}

// What widens one way narrows the other way, and nothing changes against itself.
func TestDiffIsTheOppositeOfTheDiffBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := editions(t)
		a, b := all[0], all[len(all)-1]
		require.Empty(t, Diff(a, a))
		opposite := map[Kind]Kind{Widening: Narrowing, Narrowing: Widening, Rewording: Rewording}
		there, back := Diff(a, b), Diff(b, a)
		require.Len(t, back, len(there))
		for i := range there {
			require.Equal(t, there[i].Purpose, back[i].Purpose)
			require.Equal(t, opposite[there[i].Kind], back[i].Kind)
		}
	})
}

func TestLintFindsWhatMustNotBePublished(t *testing.T) {
	one := draft{version: "1", published: "2026-11-01", effective: "2026-11-10"}.build(t)
	b := bookOf(t, one)
	fine := draft{version: "2", published: "2026-12-01"}
	for name, c := range map[string]struct {
		draft draft
		want  []string
	}{
		"asks for everything again": {fine, []string{}},
		"the same again":            {draft{version: "1", published: "2026-11-01", effective: "2026-11-10"}, []string{}},
		"only rewords":              {draft{"2", "2026-12-01", "", func(c *Catalogue) { coveredFrom(c, "1") }}, []string{}},
		"widens and asks again": {draft{"2", "2026-12-01", "", func(c *Catalogue) {
			coveredFrom(c, "1")
			purpose(c, "surveys").ThirdParty, purpose(c, "surveys").CoveredFrom = true, "2"
		}}, []string{}},
		"widens silently": {draft{"2", "2026-12-01", "", func(c *Catalogue) {
			coveredFrom(c, "1")
			purpose(c, "surveys").ThirdParty = true
		}}, []string{"purposes[surveys].coveredfrom"}},
		"new and covered": {draft{"2", "2026-12-01", "", func(c *Catalogue) {
			p := *purpose(c, "surveys")
			p.Code, p.Name, p.CoveredFrom = 20, "poetry", "1"
			c.Purposes = append(c.Purposes, p)
		}}, []string{"purposes[poetry].coveredfrom"}},
		"covered by nobody":    {draft{"2", "2026-12-01", "", func(c *Catalogue) { purpose(c, "surveys").CoveredFrom = "9" }}, []string{"purposes[surveys].coveredfrom"}},
		"dated back":           {draft{version: "2", published: "2026-10-31", effective: "2026-12-01"}, []string{"publishedon"}},
		"same day, lower name": {draft{version: "0", published: "2026-11-01", effective: "2026-11-10"}, []string{"publishedon"}},
		"effective too early":  {draft{version: "2", published: "2026-11-02"}, []string{"effectiveon"}},
		"other content":        {draft{version: "1", published: "2026-12-01"}, []string{""}},
		"code given anew":      {draft{"2", "2026-12-01", "", func(c *Catalogue) { purpose(c, "surveys").Name = "poetry" }}, []string{""}},
	} {
		require.ElementsMatch(t, c.want, fields(Lint(b, c.draft.build(t))), name)
	}
	require.Empty(t, Lint(nil, one))
}

// A purpose that narrowed in between is asked for again when it widens back, even
// where the version that it is said to be covered from was as wide.
func TestLintLooksAtEveryVersionInBetween(t *testing.T) {
	one := draft{version: "1", published: "2026-11-01"}.build(t)
	narrow := draft{"2", "2026-12-01", "", func(c *Catalogue) {
		coveredFrom(c, "1")
		purpose(c, "research").Recipients = []string{"operator"}
	}}.build(t)
	back := draft{"3", "2027-01-01", "", func(c *Catalogue) { coveredFrom(c, "1") }}.build(t)
	faults := Lint(bookOf(t, one, narrow), back)
	require.Equal(t, []string{"purposes[research].coveredfrom"}, fields(faults))
	require.ErrorContains(t, faults, "version 2 covers less (new recipient affiliates): want 3")
}
