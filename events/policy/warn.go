package policy

import (
	"cmp"
	"slices"

	"github.com/kelisim/kelisim/events"
)

// Warnings says what may be published after the versions of the book and is seldom
// meant, by field: what people lose without having been asked, and what asks them
// for nothing. Like [Lint] it has nothing to say of a version that the book has.
func Warnings(b *Book, next *Catalogue) (f Faults) {
	earlier := b.Versions()
	if _, published := b.Version(next.Version); published {
		return nil
	}
	folded := append([]*Catalogue{seedCatalogue()}, earlier...) // what the fold goes by: see unite
	for i := range next.Purposes {
		p := &next.Purposes[i]
		warnOfBasis(&f, earlier, next, p)
		warnOfRefusals(&f, folded, earlier, p)
		warnOfAsking(&f, earlier, next, p)
	}
	if len(earlier) > 0 {
		warnOfDropping(&f, earlier[len(earlier)-1], next)
	}
	most := slices.MaxFunc(folded, func(a, b *Catalogue) int { return cmp.Compare(a.Uncertainty, b.Uncertainty) })
	if most.Uncertainty > next.Uncertainty {
		f.add("clockUncertaintyMs", "%d is less than the %d of version %s: the largest of all versions counts", next.Uncertainty, most.Uncertainty, most.Version)
	}
	return f
}

// warnOfDropping finds purposes that the last version has and the next has not.
func warnOfDropping(f *Faults, last, next *Catalogue) {
	for i := range last.Purposes {
		if p := &last.Purposes[i]; next.find(p.Name) == nil {
			f.add(p.path(), "is in version %s and not here: from %s on everybody is denied, whatever it rests on", last.Version, next.EffectiveOn)
		}
	}
}

// warnOfBasis finds a purpose that leaves consent: what people withdrew goes on.
func warnOfBasis(f *Faults, earlier []*Catalogue, next *Catalogue, p *Purpose) {
	was := lastOf(earlier, func(old *Catalogue) bool {
		q := old.find(p.Name)
		return q != nil && q.Basis == events.Consent
	})
	if was != nil && p.Basis != events.Consent {
		f.add(p.path()+".basis", "%s, and was consent in version %s: from %s on nobody is asked, and whoever withdrew is used for it again",
			p.Basis, was.Version, next.EffectiveOn)
	}
}

// warnOfRefusals finds a change of what can be refused: the fold goes by the most
// that any version, or the seed, lets people stop.
func warnOfRefusals(f *Faults, folded, earlier []*Catalogue, p *Purpose) {
	as := func(w events.Withdrawable, among []*Catalogue) *Catalogue {
		return lastOf(among, func(old *Catalogue) bool {
			q := old.find(p.Name)
			return q != nil && q.Withdrawable == w
		})
	}
	field := p.path() + ".withdrawable"
	if was := as(events.Yes, folded); was != nil && p.Withdrawable == events.Refusable {
		f.add(field, "refusable, and was yes in version %s: no refusal will count", was.Version)
	}
	if was := as(events.Refusable, earlier); was != nil && p.Withdrawable == events.Yes {
		f.add(field, "yes, and was refusable in version %s: whoever's request was refused is stopped, and no refusal counts from the publication on", was.Version)
	}
}

// warnOfAsking finds a purpose that asks everybody again for what they consented to.
func warnOfAsking(f *Faults, earlier []*Catalogue, next *Catalogue, p *Purpose) {
	if p.Basis != events.Consent || p.CoveredFrom != next.Version {
		return
	}
	var covers *Catalogue
	for _, old := range slices.Backward(earlier) {
		was := old.find(p.Name)
		if was == nil || was.Basis != events.Consent || Widens(old, next, p.Name) {
			break
		}
		covers = old
	}
	if covers != nil {
		f.add(p.path()+".coveredfrom", "left out: it asks for no more than version %s, and everybody is stopped until asked again. Say coveredfrom: %q unless that is meant",
			covers.Version, covers.Version)
	}
}

// lastOf returns the last of the versions that fit, or nil.
func lastOf(all []*Catalogue, fits func(*Catalogue) bool) *Catalogue {
	for _, c := range slices.Backward(all) {
		if fits(c) {
			return c
		}
	}
	return nil
}
