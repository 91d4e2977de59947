package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kelisim/kelisim/events"
)

// Why a book refuses a catalogue. A refused catalogue changes nothing.
var (
	// ErrOtherPolicy means that the catalogue is of another policy.
	ErrOtherPolicy = errors.New("another policy")
	// ErrRepublished means that the version is known with another content.
	ErrRepublished = errors.New("published before with another content")
	// ErrCode means that a code or the name of a purpose was given anew: stored
	// states would speak of another purpose than people consented to.
	ErrCode = errors.New("code and purpose do not belong together")
)

// Book is all published versions of one policy. It is immutable. In which order
// and how often versions arrive does not matter. The zero and the nil Book know
// no version: their purposes are the seed's, so that a withdrawal is understood,
// and they cover nothing.
type Book struct {
	pages    []page // in order of publication
	rules    *events.Rules
	served   map[string]events.PurposeSet // by service; see [Book.Serves]
	revision string
	from     *Book // before the last version arrived
}

// page is a catalogue and what was worked out of it.
type page struct {
	*Catalogue
	hash      string
	effective time.Time
	covered   map[events.PolicyVersion]events.PurposeSet // by consent given under that version, while this one is in force
	rules     *events.Rules                              // fold by all versions, answer by this one
}

// With returns the book with one more version, or the same book when it has that
// catalogue. The error wraps [ErrOtherPolicy], [ErrRepublished] or [ErrCode].
func (b *Book) With(c *Catalogue) (*Book, error) {
	pages := b.all()
	if err := sameCodes(seedCatalogue(), c); err != nil {
		return b, fmt.Errorf("%s: %w", c, err) // what was decided before is stored under the seed's codes
	}
	for _, known := range pages {
		switch {
		case known.Policy != c.Policy:
			return b, fmt.Errorf("%s: %w: these are the versions of %s", c, ErrOtherPolicy, known.Policy)
		case known.Version == c.Version && known.hash == c.Hash():
			return b, nil
		case known.Version == c.Version:
			return b, fmt.Errorf("%s: %w: %s, not %s", c, ErrRepublished, known.hash, c.Hash())
		}
		if err := sameCodes(known.Catalogue, c); err != nil {
			return b, fmt.Errorf("%s: %w", c, err)
		}
	}
	next := page{Catalogue: c, hash: c.Hash(), effective: c.EffectiveOn.Start()}
	at, _ := slices.BinarySearchFunc(pages, next, byPublication)
	pages = slices.Insert(slices.Clone(pages), at, next)
	rules, err := unite(pages)
	if err != nil {
		return b, fmt.Errorf("%s: %w", c, err)
	}
	for i := range pages {
		pages[i].covered = coverage(pages, i)
		if pages[i].rules, err = rules.InForce(pages[i].ruleList(), pages[i].covered); err != nil {
			return b, fmt.Errorf("%s: %w", c, err)
		}
	}
	if rules, err = rules.InForce(seedCatalogue().ruleList(), nil); err != nil {
		return b, fmt.Errorf("%s: %w", c, err)
	}
	return &Book{pages: pages, rules: rules, served: serving(pages), revision: revisionOf(pages), from: b}, nil
}

func (b *Book) all() []page {
	if b == nil {
		return nil
	}
	return b.pages
}

// byPublication is the order of versions: by day of publication, and by name
// where two were published on one day.
func byPublication(a, b page) int {
	return cmp.Or(a.PublishedOn.Compare(b.PublishedOn), cmp.Compare(a.Version, b.Version))
}

// sameCodes holds two versions to one code for each purpose, for good.
func sameCodes(a, b *Catalogue) error {
	for _, p := range a.Purposes {
		for _, q := range b.Purposes {
			if (p.Code == q.Code) != (p.Name == q.Name) {
				return fmt.Errorf("%w: %d is %s, and was %d for %s in version %s", ErrCode, q.Code, q.Name, p.Code, p.Name, a.Version)
			}
		}
	}
	return nil
}

// unite returns the rules that every version folds by: of all purposes that any
// version or the seed has, each in the form in which the person can stop most, and
// with the largest clock uncertainty. So no version, in force or not, makes the
// fold forget what another one remembers.
func unite(pages []page) (*events.Rules, error) {
	var rules []events.Rule
	at, uncertainty := make(map[events.Purpose]int), events.Millis(0)
	for _, c := range append([]page{{Catalogue: seedCatalogue()}}, pages...) {
		uncertainty = max(uncertainty, c.Uncertainty)
		for _, next := range c.ruleList() {
			if i, known := at[next.Purpose]; known {
				rules[i].Basis, rules[i].Withdrawable = min(rules[i].Basis, next.Basis), max(rules[i].Withdrawable, next.Withdrawable)
				continue
			}
			at[next.Purpose] = len(rules)
			rules = append(rules, next)
		}
	}
	return events.NewRules(uncertainty, rules)
}

// Rules returns the rules while no version is in force. The fold knows all purposes
// of all versions and of the seed: a withdrawal of a purpose that was dropped, or
// is published ahead, must be understood. Answers go by the seed, and no grant
// permits by them: [Book.RulesAt] does.
func (b *Book) Rules() *events.Rules {
	if b == nil || b.rules == nil {
		return seedRules()
	}
	return b.rules
}

// RulesAt returns the rules at a moment. The fold is that of [Book.Rules]; answers go
// by the purposes of the version in force then, as it has them, and by what consent
// covers while it is. Before the first version no grant permits anything.
func (b *Book) RulesAt(at time.Time) *events.Rules {
	if now := b.inForce(at); now != nil {
		return now.rules
	}
	return b.Rules()
}

// rulesOf returns the rules while a version is in force, whenever that is.
func (b *Book) rulesOf(v events.PolicyVersion) *events.Rules {
	for _, p := range b.all() {
		if p.Version == v {
			return p.rules
		}
	}
	return b.Rules()
}

// Version returns the catalogue of a version.
func (b *Book) Version(v events.PolicyVersion) (*Catalogue, bool) {
	for _, p := range b.all() {
		if p.Version == v {
			return p.Catalogue, true
		}
	}
	return nil, false
}

// Versions returns all catalogues, in order of publication.
func (b *Book) Versions() []*Catalogue {
	var all []*Catalogue
	for _, p := range b.all() {
		all = append(all, p.Catalogue)
	}
	return all
}

// Current returns the version in force at a moment: the last published one of
// those that are effective by then. There is none before the first.
func (b *Book) Current(at time.Time) (*Catalogue, bool) {
	if p := b.inForce(at); p != nil {
		return p.Catalogue, true
	}
	return nil, false
}

func (b *Book) inForce(at time.Time) *page {
	pages := b.all()
	for i := len(pages) - 1; i >= 0; i-- {
		if !at.Before(pages[i].effective) {
			return &pages[i]
		}
	}
	return nil
}
