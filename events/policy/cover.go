package policy

import (
	"time"

	"github.com/kelisim/kelisim/events"
)

// Covers says whether a grant or an acceptance given under a version still
// covers the purpose as the version in force at a moment asks for it. A version
// or a purpose that is not known, on either side, is not covered.
//
// Two keys, as everywhere: the version in force must say that consent to that
// version stands (given stands at or behind its CoveredFrom in the order of
// publication), and it must not ask for more than what was consented to. The
// first alone would believe a catalogue that forgot to ask again; and of a
// version published ahead, narrower than the one still in force, it knows nothing.
// A version in which the purpose did not rest on consent covers none of it: whoever
// accepted that was not asked.
func (b *Book) Covers(at time.Time, given events.PolicyVersion, purpose events.Purpose) bool {
	now := b.inForce(at)
	if now == nil {
		return false
	}
	p := now.find(purpose)
	return p != nil && now.covered[given].Has(p.Code)
}

// Covered returns all purposes that [Book.Covers] holds for, without allocation.
func (b *Book) Covered(at time.Time, given events.PolicyVersion) events.PurposeSet {
	if now := b.inForce(at); now != nil {
		return now.covered[given]
	}
	return 0
}

// CoveredBy returns what consent given under a version covers while another is
// in force, whenever that is.
func (b *Book) CoveredBy(inForce, given events.PolicyVersion) events.PurposeSet {
	for _, p := range b.all() {
		if p.Version == inForce {
			return p.covered[given]
		}
	}
	return 0
}

// coverage works out, for pages[now] in force, what each version's consent covers.
func coverage(pages []page, now int) map[events.PolicyVersion]events.PurposeSet {
	order := make(map[events.PolicyVersion]int, len(pages))
	for i, p := range pages {
		order[p.Version] = i
	}
	asked, covered := pages[now].Catalogue, make(map[events.PolicyVersion]events.PurposeSet, len(pages))
	for i, given := range pages {
		covered[given.Version] = 0 // it is known, though it may cover nothing any more
		for _, p := range asked.Purposes {
			was := given.find(p.Name)
			if was == nil || p.Basis == events.Consent && was.Basis != events.Consent {
				continue // nobody was asked for consent under it
			}
			from, known := order[p.CoveredFrom]
			stands := known && i >= from || !known && was.CoveredFrom == p.CoveredFrom // both reach back to the same one
			if i == now || stands && !Widens(given.Catalogue, asked, p.Name) {
				covered[given.Version] |= events.SetOf(p.Code)
			}
		}
	}
	return covered
}
