package policy

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelisim/kelisim/events"
)

// The versions of most tests: the second adds a recipient to research, the third
// only rewords. Each asks again for nothing but what widens.
func threeVersions(t require.TestingT) (one, two, three *Catalogue) {
	one = draft{version: "1", published: "2026-11-01"}.build(t)
	two = draft{version: "2", published: "2026-12-01", effective: "2026-12-15", edit: func(c *Catalogue) {
		coveredFrom(c, "1")
		p := purpose(c, "research")
		p.Recipients, p.CoveredFrom = append(p.Recipients, "universities"), "2"
	}}.build(t)
	three = draft{version: "3", published: "2027-01-01", edit: func(c *Catalogue) {
		coveredFrom(c, "1")
		p := purpose(c, "research")
		p.Recipients, p.CoveredFrom, p.Clause = append(p.Recipients, "universities"), "2", "4.2"
	}}.build(t)
	return one, two, three
}

func TestOldConsentCoversWhatDidNotWiden(t *testing.T) {
	b := bookOf(t, must3(threeVersions(t))...)
	for _, c := range []struct {
		at, given, purpose string
		want               bool
	}{
		{"2026-11-20T00:00:00Z", "1", "research", true},
		{"2026-12-10T00:00:00Z", "1", "research", true}, // published, not yet effective
		{"2026-12-14T18:59:59Z", "1", "research", true},
		{"2026-12-14T19:00:00Z", "1", "research", false}, // effective in Almaty
		{"2026-12-14T19:00:00Z", "1", "promotion", true},
		{"2026-12-14T19:00:00Z", "2", "research", true},
		{"2027-01-02T00:00:00Z", "1", "research", false},
		{"2027-01-02T00:00:00Z", "2", "research", true},
		{"2027-01-02T00:00:00Z", "3", "research", true},
		{"2026-11-20T00:00:00Z", "2", "research", true},  // consented to more than is asked
		{"2026-10-01T00:00:00Z", "1", "research", false}, // nothing in force
		{"2027-01-02T00:00:00Z", "4", "promotion", false},
		{"2027-01-02T00:00:00Z", "", "promotion", false},
		{"2027-01-02T00:00:00Z", "3", "telepathy", false},
	} {
		at := utc(t, c.at)
		require.Equal(t, c.want, b.Covers(at, events.PolicyVersion(c.given), events.Purpose(c.purpose)), c)
		if rule, known := b.Rules().Rule(events.Purpose(c.purpose)); known {
			require.Equal(t, c.want, b.Covered(at, events.PolicyVersion(c.given)).Has(rule.Code), c)
		}
	}
}

func must3(a, b, c *Catalogue) []*Catalogue { return []*Catalogue{a, b, c} }

func TestVersionThatIsNotKnownYetCoversNothing(t *testing.T) {
	one, two, three := threeVersions(t)
	at := utc(t, "2027-02-01T00:00:00Z")
	b := bookOf(t, one, three) // the second is late
	require.False(t, b.Covers(at, "1", "research"))
	require.False(t, b.Covers(at, "2", "research"))
	require.True(t, b.Covers(at, "3", "research"), "what was given under the version in force")
	require.True(t, b.Covers(at, "1", "promotion"))
	b, err := b.With(two)
	require.NoError(t, err)
	require.True(t, b.Covers(at, "2", "research"))
}

// Two editions at hand are enough to compare them, where both say that they are
// covered from an older one that is not.
func TestVersionsThatReachBackToTheSameOneCoverEachOther(t *testing.T) {
	old := draft{version: "2", published: "2026-11-01", edit: func(c *Catalogue) { coveredFrom(c, "1") }}.build(t)
	next := draft{version: "3", published: "2026-12-01", edit: func(c *Catalogue) {
		coveredFrom(c, "1")
		purpose(c, "research").CoveredFrom = "0"
		purpose(c, "surveys").ThirdParty = true
	}}.build(t)
	b, at := bookOf(t, old, next), utc(t, "2027-01-01T00:00:00Z")
	require.True(t, b.Covers(at, "2", "promotion"))
	require.False(t, b.Covers(at, "2", "research"))
	require.False(t, b.Covers(at, "2", "surveys"), "widened")
	require.False(t, b.Covers(at, "1", "promotion"), "what 1 said is not known")
}

func TestVersionThatSaysItIsCoveredFromALaterOneIsNotBelieved(t *testing.T) {
	reach := func(version, published string) *Catalogue {
		return draft{version: version, published: published, edit: func(c *Catalogue) { coveredFrom(c, "2") }}.build(t)
	}
	b := bookOf(t, reach("1", "2026-11-01"), reach("2", "2026-11-02"), reach("3", "2026-11-03"))
	at := utc(t, "2027-01-01T00:00:00Z")
	require.Zero(t, b.Covered(at, "1"))
	require.Equal(t, b.Rules().All(), b.Covered(at, "2"))
}

func TestCatalogueThatForgetsToAskAgainIsNotBelieved(t *testing.T) {
	one := draft{version: "1", published: "2026-11-01"}.build(t)
	two := draft{version: "2", published: "2026-12-01", edit: func(c *Catalogue) {
		coveredFrom(c, "1")
		purpose(c, "surveys").Dissemination = true
	}}.build(t)
	b, at := bookOf(t, one, two), utc(t, "2027-01-01T00:00:00Z")
	require.False(t, b.Covers(at, "1", "surveys"))
	require.True(t, b.Covers(at, "1", "contests"))
}

func TestConsentToANarrowerVersionPublishedAheadDoesNotCoverTheOneInForce(t *testing.T) {
	one := draft{version: "1", published: "2026-11-01"}.build(t)
	two := draft{version: "2", published: "2026-12-01", effective: "2027-01-01", edit: func(c *Catalogue) {
		coveredFrom(c, "1")
		purpose(c, "research").Recipients = []string{"operator"}
		c.Purposes = c.Purposes[:12] // without cross-border
	}}.build(t)
	b, at := bookOf(t, one, two), utc(t, "2026-12-10T00:00:00Z")
	require.False(t, b.Covers(at, "2", "research"))
	require.False(t, b.Covers(at, "2", "cross-border"))
	require.True(t, b.Covers(at, "2", "promotion"))
}

func TestBookRefusesWhatContradictsIt(t *testing.T) {
	one := draft{version: "1", published: "2026-11-01"}.build(t)
	b := bookOf(t, one)
	again, err := b.With(draft{version: "1", published: "2026-11-01"}.build(t))
	require.NoError(t, err)
	require.Same(t, b, again)
	for name, c := range map[string]struct {
		draft draft
		want  error
	}{
		"other content": {draft{"1", "2026-11-01", "", func(c *Catalogue) { c.Operator.Name = "x" }}, ErrRepublished},
		"other policy":  {draft{"2", "2026-11-02", "", func(c *Catalogue) { c.Policy = "other" }}, ErrOtherPolicy},
		"other name":    {draft{"2", "2026-11-02", "", func(c *Catalogue) { c.Purposes[3].Name = "sales" }}, ErrCode},
		"other code":    {draft{"0", "2026-10-02", "", func(c *Catalogue) { c.Purposes[3].Code = 40 }}, ErrCode},
	} {
		after, err := b.With(c.draft.build(t))
		require.ErrorIs(t, err, c.want, name)
		require.Same(t, b, after, name)
	}
}

func TestDroppedPurposeIsStillUnderstoodAndNoLongerCovered(t *testing.T) {
	one := draft{version: "1", published: "2026-11-01"}.build(t)
	two := draft{version: "2", published: "2026-12-01", edit: func(c *Catalogue) {
		coveredFrom(c, "1")
		c.Purposes = append(c.Purposes[:3], c.Purposes[4:]...) // without promotion
	}}.build(t)
	b := bookOf(t, two, one)
	rule, known := b.Rules().Rule("promotion")
	require.True(t, known)
	require.EqualValues(t, 4, rule.Code)
	require.False(t, b.Covers(utc(t, "2027-01-01T00:00:00Z"), "1", "promotion"))
}

func TestEmptyBookSaysNo(t *testing.T) {
	for _, b := range []*Book{nil, {}} {
		require.False(t, b.Covers(time.Now(), "", ""))
		require.Zero(t, b.Covered(time.Now(), "1"))
		require.Zero(t, b.CoveredBy("1", "1"))
		require.Equal(t, events.SeedRules().All(), b.Rules().All(), "or a withdrawal would not be understood")
		require.Empty(t, b.Versions())
		_, known := b.Current(time.Now())
		require.False(t, known)
		_, known = b.Version("1")
		require.False(t, known)
	}
}

// editions draws versions of one policy that differ in all that a book looks at.
func editions(t *rapid.T) []*Catalogue { return editionsUpTo(t, 5) }

func editionsUpTo(t *rapid.T, most int) []*Catalogue {
	n := rapid.IntRange(1, most).Draw(t, "versions")
	var all []*Catalogue
	for i := range n {
		first := day(t, "2026-11-01").Add(rapid.IntRange(0, 3).Draw(t, "published"))
		effective := first.Add(rapid.IntRange(0, 2).Draw(t, "effective"))
		all = append(all, draft{fmt.Sprint(i), first.String(), effective.String(), func(c *Catalogue) {
			for j := range c.Purposes {
				p := &c.Purposes[j]
				p.CoveredFrom = events.PolicyVersion(fmt.Sprint(rapid.IntRange(0, n+1).Draw(t, "from"))) // from n on they are not known
				p.ThirdParty = rapid.Bool().Draw(t, "third party")
				if rapid.IntRange(0, 2).Draw(t, "other basis") == 0 {
					p.Basis, p.Withdrawable = events.Law, events.No
				} else if p.Basis == events.Consent {
					p.Withdrawable = events.Withdrawable(rapid.IntRange(1, 2).Draw(t, "withdrawable"))
				}
			}
			if first := rapid.IntRange(0, 12).Draw(t, "first purpose"); rapid.Bool().Draw(t, "begins there") {
				c.Purposes = c.Purposes[first:]
			} else {
				c.Purposes = c.Purposes[:1+first]
			}
		}}.build(t))
	}
	return all
}

func TestOrderAndRepetitionOfPublicationsNeverMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := editions(t)
		arrivals := rapid.Permutation(append(all[:len(all):len(all)], all...)).Draw(t, "arrivals")
		a, b := bookOf(t, all...), bookOf(t, arrivals...)
		require.Equal(t, a.pages, b.pages)
		require.Equal(t, a.Rules(), b.Rules())
	})
}

// The law of cover: who consented to less than is asked is never covered, and a
// version that is not known never covers.
func TestConsentNeverCoversMoreThanWasConsentedTo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := editions(t)
		b := bookOf(t, all...)
		at := day(t, "2026-11-01").Add(rapid.IntRange(-1, 7).Draw(t, "day")).Start()
		now, inForce := b.Current(at)
		for _, given := range all {
			for _, p := range given.Purposes {
				if b.Covers(at, given.Version, p.Name) {
					require.True(t, inForce)
					require.False(t, Widens(given, now, p.Name))
					asked, _ := now.Purpose(p.Name)
					require.False(t, asked.Basis == events.Consent && p.Basis != events.Consent, "nobody was asked")
				}
			}
			require.False(t, !inForce && b.Covered(at, given.Version) != 0)
		}
		require.Zero(t, b.Covered(at, "unknown"))
		if inForce {
			require.Equal(t, len(now.Purposes), b.Covered(at, now.Version).Len(), "the version in force covers itself")
		}
	})
}

// What is in force is the last published of those that are effective, whatever
// is published ahead.
func TestLaterVersionIsInForceFromItsDay(t *testing.T) {
	one, two, three := threeVersions(t)
	b := bookOf(t, three, one, two)
	for at, want := range map[string]events.PolicyVersion{
		"2026-10-31T19:00:00Z": "1", "2026-12-14T18:59:59Z": "1", "2026-12-14T19:00:00Z": "2", "2026-12-31T19:00:00Z": "3",
	} {
		c, known := b.Current(utc(t, at))
		require.True(t, known)
		require.Equal(t, want, c.Version, at)
	}
	_, known := b.Current(utc(t, "2026-10-31T18:59:59Z"))
	require.False(t, known)
}
