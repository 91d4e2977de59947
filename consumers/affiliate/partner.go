package affiliate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kelisim/kelisim/consumers/internal/slots"
	"github.com/kelisim/kelisim/events"
)

// Home is the country of the data (clause 2.5). What goes to a partner anywhere
// else crosses a border, and needs that grant too (clauses 4.1 to 4.3).
const Home = "KZ"

// MaxPartners bounds the partners of a service: every stop computes the
// pseudonyms for each, and its script names them all.
const MaxPartners = 64

// Partner is whoever gets data of subjects, under pseudonyms of its own.
type Partner struct {
	ID       string           // in keys and metrics: lower-case letters, digits and . _ -
	Country  string           // two capital letters (ISO 3166-1)
	Purposes []events.Purpose // what it uses data for; nothing is given for one that no version of the policy names affiliate for
	Border   events.Purpose   // what lets data cross the border to it, beside each purpose; cross-border unless given, none at home
	Current  Key              // of the pseudonyms that it is given now
	Previous Key              // of those that it was given before, while a rotation lasts; else none
}

// border returns the purpose that data for the partner needs beside its own, or
// none at home.
func (p *Partner) border() events.Purpose {
	switch {
	case !p.Abroad():
		return ""
	case p.Border == "":
		return crossBorder
	}
	return p.Border
}

// Abroad says whether data must cross a border to reach the partner.
func (p *Partner) Abroad() bool { return p.Country != Home }

// keys returns the keys in use, the current one first.
func (p *Partner) keys() []Key {
	if p.Previous.IsZero() {
		return []Key{p.Current}
	}
	return []Key{p.Current, p.Previous}
}

func (p *Partner) validate() error {
	switch {
	case !slots.IsName(p.ID):
		return fmt.Errorf("id %q: %w", p.ID, slots.ErrName)
	case len(p.Country) != 2 || strings.Trim(p.Country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		return fmt.Errorf("country %q: want two capital letters", p.Country)
	case p.Border != "" && !p.Abroad():
		return fmt.Errorf("border %q: none is crossed to %s", p.Border, Home)
	case len(p.Purposes) == 0:
		return errors.New("has no purpose")
	case p.Current.IsZero():
		return errors.New("has no current key")
	case p.Current == p.Previous:
		return errors.New("current and previous key are the same")
	}
	for i, purpose := range p.Purposes {
		switch {
		case purpose == "":
			return errors.New("has a purpose without a name")
		case slices.Contains(p.Purposes[:i], purpose):
			return fmt.Errorf("purpose %q is named twice", purpose)
		}
	}
	return nil
}

// check validates partners, also against each other: with a key in common, two
// of them could join what they know.
func check(partners []Partner) error {
	if len(partners) > MaxPartners {
		return fmt.Errorf("%d partners: at most %d", len(partners), MaxPartners)
	}
	ids, keys := make(map[string]bool), make(map[Key]string)
	for i := range partners {
		p := &partners[i]
		if err := p.validate(); err != nil {
			return fmt.Errorf("partner %q: %w", p.ID, err)
		}
		if ids[p.ID] {
			return fmt.Errorf("partner %q is named twice", p.ID)
		}
		ids[p.ID] = true
		for _, key := range p.keys() {
			if other, taken := keys[key]; taken {
				return fmt.Errorf("partners %q and %q have a key in common", other, p.ID)
			}
			keys[key] = p.ID
		}
	}
	return checkBorders(partners)
}

// checkBorders finds what is named both as a border and as what data is used for:
// whoever granted the one would have granted the other.
func checkBorders(partners []Partner) error {
	borders := []events.Purpose{crossBorder}
	for i := range partners {
		borders = append(borders, partners[i].Border)
	}
	uses := Purposes()
	uses = slices.DeleteFunc(uses, func(p events.Purpose) bool { return p == crossBorder })
	for i := range partners {
		uses = append(uses, partners[i].Purposes...)
	}
	for _, purpose := range uses {
		if slices.Contains(borders, purpose) {
			return fmt.Errorf("%q is named as a border, and as what data is used for", purpose)
		}
	}
	return nil
}

// cloned returns partners that their giver may change without changing these.
func cloned(partners []Partner) []Partner {
	all := slices.Clone(partners)
	for i := range all {
		all[i].Purposes = slices.Clone(all[i].Purposes)
	}
	return all
}
