package policy

import (
	"strings"

	"github.com/kelisim/kelisim/events"
)

// maxSeen bounds the subjects that are remembered in each of two halves, some 150
// bytes each: who uses the service today is read once, and not at every click.
const maxSeen = 1 << 17

// seen remembers which version subjects have accepted. It forgets those that were
// not met for long; that costs a look at their state, and nothing else. It is for
// one goroutine.
type seen struct {
	young, old map[events.Subject]events.PolicyVersion
}

// has says whether the subject is known to have accepted the version.
func (s *seen) has(subject events.Subject, v events.PolicyVersion) bool {
	known, ok := s.young[subject]
	if !ok {
		if known, ok = s.old[subject]; ok {
			s.add(subject, known)
		}
	}
	return ok && known == v
}

// add remembers a subject, which may be a view of a record.
func (s *seen) add(subject events.Subject, v events.PolicyVersion) {
	if len(s.young) >= maxSeen {
		s.young, s.old = nil, s.young
	}
	if s.young == nil {
		s.young = make(map[events.Subject]events.PolicyVersion)
	}
	if own, err := events.ParseSubject(strings.Clone(subject.Reveal())); err == nil {
		s.young[own] = v
	}
}
