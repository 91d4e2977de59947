package policy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelisim/kelisim/events"
)

func TestEditionChangesWithTheDayOnWhichAVersionBecomesEffective(t *testing.T) {
	one := draft{version: "1", published: "2026-11-01"}.build(t)
	two := draft{version: "2", published: "2026-11-10", effective: "2026-12-01"}.build(t)
	b := bookOf(t, two, one)
	begins, turns := one.EffectiveOn.Start(), two.EffectiveOn.Start()

	before := b.Edition(begins.Add(-time.Second))
	require.Empty(t, before.Version)
	require.Equal(t, begins, before.Next)
	first := b.Edition(turns.Add(-time.Nanosecond))
	require.EqualValues(t, "1", first.Version)
	require.Equal(t, turns, first.Next)
	second := b.Edition(turns)
	require.EqualValues(t, "2", second.Version)
	require.True(t, second.Next.IsZero())
	require.Equal(t, first.Revision, second.Revision)
	require.NotEqual(t, first.Mark(), second.Mark())
	require.Same(t, b.RulesAt(turns), second.Rules)
}

func TestRevisionIsOfTheContentAndNotOfTheArrival(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := editions(t)
		a, b := bookOf(t, all...), bookOf(t, rapid.Permutation(all).Draw(t, "arrival")...)
		require.Equal(t, a.Revision(), b.Revision())
		require.NotContains(t, a.Grown(), a.Revision())
		require.Len(t, a.Grown(), len(all))
		require.Equal(t, (*Book)(nil).Revision(), a.Grown()[0])
	})
}

func TestEarlierEditionsCanBeAskedFor(t *testing.T) {
	one := draft{version: "1", published: "2026-11-01"}.build(t)
	two := draft{version: "2", published: "2026-11-10"}.build(t)
	first := bookOf(t, one)
	b, err := first.With(two)
	require.NoError(t, err)
	at := one.EffectiveOn.Start()

	was, known := b.Earlier(first.Edition(at).Mark())
	require.True(t, known)
	require.Same(t, first.RulesAt(at), was)
	was, known = b.Earlier(new(Book).Edition(at).Mark())
	require.True(t, known)
	require.Equal(t, events.SeedRules().All(), was.All())
	same, known := b.Earlier(b.Edition(two.EffectiveOn.Start()).Mark())
	require.True(t, known)
	require.Same(t, b.RulesAt(two.EffectiveOn.Start()), same)
	for _, mark := range []string{"", "/", "0123456789abcdef/1", first.Revision() + "/3", b.Revision()} {
		_, known = b.Earlier(mark)
		require.False(t, known, mark)
	}
}

func TestBookIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := bookOf(t, editions(t)...)
		text, err := b.JSON()
		require.NoError(t, err)
		back, err := ReadBook(text)
		require.NoError(t, err)
		require.Equal(t, b.Revision(), back.Revision())
	})
	text, err := (*Book)(nil).JSON()
	require.NoError(t, err)
	require.Equal(t, "[]", string(text))
	_, err = ReadBook([]byte(`[{}]`))
	require.ErrorContains(t, err, "catalogue 0")
	_, err = ReadBook([]byte(`{}`))
	require.Error(t, err)
}

// States are stored by code: a policy that gives the seed's codes away would turn
// what was decided before it into consent to something else.
func TestSeedsCodesAreNeverGivenAway(t *testing.T) {
	stranger := draft{version: "1", published: "2026-11-01", edit: func(c *Catalogue) {
		c.Purposes[4].Name = "selling"
	}}.build(t)
	_, err := new(Book).With(stranger)
	require.ErrorIs(t, err, ErrCode)
}
