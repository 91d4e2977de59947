package show

import (
	"fmt"
	"slices"

	"github.com/kelisim/kelisim/events"
)

// disagreements says which services cannot both be right, and in what. A service
// that is merely behind disagrees with nobody.
func disagreements(services []Service) []string {
	all := []string{}
	for i, a := range services {
		for _, b := range services[i+1:] {
			if what := disagree(&a, &b); what != "" {
				all = append(all, fmt.Sprintf("%s and %s: %s", a.Name, b.Name, what))
			}
		}
	}
	return all
}

func disagree(a, b *Service) string {
	if !a.Known || !b.Known {
		return "" // one of them was never built, or is about to be: its guard denies
	}
	if behind(a, b) || behind(b, a) {
		return ""
	}
	switch {
	case a.at != b.at || a.state.IsZero() != b.state.IsZero():
		return fmt.Sprintf("versions %s and %s, though both are past them", version(a), version(b))
	case a.state != b.state:
		return fmt.Sprintf("other states of the same version %s", version(a))
	case missing(a, b) || missing(b, a):
		return fmt.Sprintf("holds %v and %v", a.Held, b.Held)
	}
	return ""
}

// behind says whether a has not yet applied what decided in b.
func behind(a, b *Service) bool { return !b.state.IsZero() && a.Next <= b.at.Offset }

// missing says whether a holds by an event that b is past, and b does not. Events
// of other partitions hold too; of those nothing is known here.
func missing(a, b *Service) bool {
	for _, text := range a.Held {
		at, err := events.ParsePosition(text)
		if err == nil && at.Partition == a.partition && at.Offset < b.Next && !slices.Contains(b.Held, text) {
			return true
		}
	}
	return false
}

func version(s *Service) string {
	if s.Version == "" {
		return "none"
	}
	return s.Version
}
