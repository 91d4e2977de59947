package affiliate

import (
	"errors"
	"fmt"

	"github.com/kelisim/kelisim/consumers/internal/slots"
	"github.com/kelisim/kelisim/events"
)

// ErrUnserved is the cause when a partner is given nothing because no version of the
// policy names affiliate for what its entry names: no stop would reach the partner.
var ErrUnserved = errors.New("no version of the policy names affiliate for it")

// Versions are the published versions of the policy; a policy.Book is one.
type Versions = slots.Versions

// Gaps says what the partners' entries name and the published versions do not have:
// for these purposes nothing is given, until a version comes that does.
func Gaps(all Versions, partners []Partner) (gaps []error) {
	for i := range partners {
		p := &partners[i]
		for _, purpose := range p.Purposes {
			if err := p.gap(all, purpose); err != nil {
				gaps = append(gaps, fmt.Errorf("partner %s is given nothing for %q: %w", p.ID, purpose, err))
			}
		}
	}
	return gaps
}

// gap returns why nothing may be given to the partner for a purpose, whoever agreed,
// or nil. A border must have rested on consent: what the law or a contract opens, no
// withdrawal would close. What is no gap once is none whatever versions come.
func (p *Partner) gap(all Versions, purpose events.Purpose) error {
	if _, named := all.Named(Name, purpose); !named {
		return fmt.Errorf("purpose: %w", ErrUnserved)
	}
	border := p.border()
	if border == "" {
		return nil
	}
	switch rule, named := all.Named(Name, border); {
	case !named:
		return fmt.Errorf("border %q: %w", border, ErrUnserved)
	case rule.Basis != events.Consent:
		return fmt.Errorf("border %q rests on %s: want consent", border, rule.Basis)
	}
	return nil
}
