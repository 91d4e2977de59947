package policy

import (
	"slices"
)

// Lint says why next must not be published after the versions of the book, by
// field. What is wrong with next alone, [Parse] has said. Nothing is wrong with
// a version that the book has already.
func Lint(b *Book, next *Catalogue) Faults {
	var f Faults
	known, published := b.Version(next.Version)
	with, err := b.With(next)
	switch {
	case err != nil:
		return append(f, Fault{Cause: err})
	case published && known.Hash() == next.Hash():
		return nil
	}
	if earlier := b.Versions(); len(earlier) > 0 {
		last := earlier[len(earlier)-1]
		if all := with.Versions(); all[len(all)-1].Version != next.Version {
			f.add("publishedon", "%s stands before version %s, published on %s", next.PublishedOn, last.Version, last.PublishedOn)
		}
		if next.EffectiveOn.Compare(last.EffectiveOn) < 0 {
			f.add("effectiveon", "%s is before version %s is effective, %s", next.EffectiveOn, last.Version, last.EffectiveOn)
		}
	}
	for i := range next.Purposes {
		lintCover(&f, b.Versions(), next, &next.Purposes[i])
	}
	return f
}

// lintCover holds CoveredFrom to the truth: a version that the purpose widens
// against cannot cover it, or old consent would seem to cover the new use.
func lintCover(f *Faults, earlier []*Catalogue, next *Catalogue, p *Purpose) {
	if p.CoveredFrom == next.Version {
		return
	}
	field := p.path() + ".coveredfrom"
	from := slices.IndexFunc(earlier, func(c *Catalogue) bool { return c.Version == p.CoveredFrom })
	if from < 0 {
		f.add(field, "version %s is not known", p.CoveredFrom)
		return
	}
	for _, old := range slices.Backward(earlier[from:]) {
		for _, change := range purposeChanges(old, next, p.Name) {
			if change.Kind == Widening {
				f.add(field, "version %s covers less (%s): want %s", old.Version, change.What, next.Version)
				return
			}
		}
	}
}
