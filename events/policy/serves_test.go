package policy

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelisim/kelisim/events"
)

func TestAServiceActsOnWhatAnyVersionNamesItFor(t *testing.T) {
	one := draft{version: "1", published: "2026-11-01", edit: func(c *Catalogue) { purpose(c, "surveys").Services = []string{"targeting"} }}.build(t)
	two := draft{version: "2", published: "2026-12-01", effective: "2027-12-01", edit: func(c *Catalogue) {
		letters := *purpose(c, "promotion")
		letters.Code, letters.Name, letters.Services = 20, "letters", []string{"marketing", "postmen"}
		c.Purposes = append(c.Purposes[:3], letters) // without promotion
	}}.build(t)
	seed, b := new(Book), bookOf(t, one)
	require.Equal(t, events.SetOf(4, 5, 6, 11), seed.Serves("marketing"), "by the seed")
	require.Equal(t, seed.Serves("marketing"), (*Book)(nil).Serves("marketing"))
	require.Zero(t, b.Serves("postmen"))
	require.Equal(t, events.SetOf(4, 5, 6, 11), b.Serves("marketing"), "what went to another service has to stop here too")
	require.Equal(t, events.SetOf(6, 9, 10, 12), b.Serves("targeting"))

	mark := b.Edition(one.EffectiveOn.Start()).Mark()
	both, err := b.With(two)
	require.NoError(t, err)
	require.Equal(t, events.SetOf(4, 5, 6, 11, 20), both.Serves("marketing"), "ahead of its day, and what it dropped")
	require.Equal(t, events.SetOf(20), both.Joined(mark, "marketing"))
	require.Zero(t, both.Joined(mark, "targeting"))
	require.Equal(t, both.Serves("marketing"), both.Joined("nobody remembers", "marketing"))

	named := func(b *Book, service string, purpose events.Purpose) events.Code {
		rule, _ := b.Named(service, purpose)
		return rule.Code
	}
	require.EqualValues(t, 4, named(nil, "marketing", "promotion"))
	require.Zero(t, named(b, "marketing", "letters"), "no version knows it")
	require.EqualValues(t, 20, named(both, "marketing", "letters"))
	require.Zero(t, named(both, "targeting", "letters"))
}

func TestWhatAServiceActsOnDoesNotDependOnTheOrderOfArrival(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := editions(t)
		for _, c := range all {
			for i := range c.Purposes {
				c.Purposes[i].Services = rapid.SampledFrom([][]string{nil, {"marketing"}, {"postmen"}}).Draw(t, "services")
			}
		}
		a, b := bookOf(t, all...), bookOf(t, rapid.Permutation(all).Draw(t, "arrivals")...)
		for _, service := range []string{"marketing", "postmen", "nobody"} {
			require.Equal(t, a.Serves(service), b.Serves(service))
		}
	})
}
