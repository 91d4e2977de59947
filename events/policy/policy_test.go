package policy

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
)

// draft is a catalogue as a test describes it: day by day, purpose by purpose.
type draft struct {
	version   string
	published string
	effective string
	edit      func(*Catalogue)
}

// build returns the seed with the draft's changes, read back as if it came from
// a file.
func (d draft) build(t require.TestingT) *Catalogue {
	c, err := read(seedJSON(), true)
	require.NoError(t, err)
	c.Version = events.PolicyVersion(d.version)
	for i := range c.Purposes {
		c.Purposes[i].CoveredFrom = ""
		c.Purposes[i].Retention = Period{}
	}
	c.PublishedOn, err = ParseDate(d.published)
	require.NoError(t, err)
	c.EffectiveOn = Date{}
	if d.effective != "" {
		c.EffectiveOn, err = ParseDate(d.effective)
		require.NoError(t, err)
	}
	if d.edit != nil {
		d.edit(c)
	}
	text, err := json.Marshal(c)
	require.NoError(t, err)
	c, err = read(text, true)
	require.NoError(t, err)
	return c
}

// seedJSON is the seed without the cost of YAML.
var seedJSON = sync.OnceValue(func() []byte {
	text, err := Seed().JSON()
	if err != nil {
		panic(err)
	}
	return text
})

// purpose returns a purpose of a draft, to edit.
func purpose(c *Catalogue, name events.Purpose) *Purpose { return c.find(name) }

// coveredFrom says the same of every purpose.
func coveredFrom(c *Catalogue, v events.PolicyVersion) {
	for i := range c.Purposes {
		c.Purposes[i].CoveredFrom = v
	}
}

// bookOf returns the book of the given versions.
func bookOf(t require.TestingT, all ...*Catalogue) *Book {
	b := new(Book)
	for _, c := range all {
		next, err := b.With(c)
		require.NoError(t, err)
		b = next
	}
	return b
}

// fields of faults, in their order.
func fields(f Faults) []string {
	names := make(map[string]bool)
	for _, one := range f {
		names[one.Field] = true
	}
	return slices.Sorted(maps.Keys(names))
}
