package policy

import "github.com/kelisim/kelisim/events"

// Serves returns the purposes that a service acts on when they stop: those that any
// version names it for, in force or not, and those of the seed. A purpose that is
// dropped, or that another service takes over, is acted on all the same: what the
// service did for it has to stop.
func (b *Book) Serves(service string) events.PurposeSet {
	if b == nil || b.served == nil {
		return seedServes()[service]
	}
	return b.served[service]
}

// Named returns the rule of a purpose that any version, or the seed, names a service
// for. It says the most that any version lets people stop. A service that is named
// once is named in every book that grows out of this one.
func (b *Book) Named(service string, purpose events.Purpose) (events.Rule, bool) {
	rule, known := b.Rules().Rule(purpose)
	if !known || !b.Serves(service).Has(rule.Code) {
		return events.Rule{}, false
	}
	return rule, true
}

// Joined returns what a service acts on by this book and did not by the one that an
// [Edition.Mark] names. Of a mark that nobody remembers that is all of it.
func (b *Book) Joined(mark, service string) events.PurposeSet {
	was, _, known := b.was(mark)
	if !known {
		return b.Serves(service)
	}
	return b.Serves(service) &^ was.Serves(service)
}

// serving gathers what the versions and the seed name each service for.
func serving(pages []page) map[string]events.PurposeSet {
	served := make(map[string]events.PurposeSet)
	for _, c := range append([]page{{Catalogue: seedCatalogue()}}, pages...) {
		for _, p := range c.Purposes {
			for _, service := range p.Services {
				served[service] |= events.SetOf(p.Code)
			}
		}
	}
	return served
}
