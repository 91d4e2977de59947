package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events/policy"
)

// checkPolicies finds that no version of the policy is in force, and grants that
// name one which is not published: they permit nothing.
func checkPolicies(ctx context.Context, e *Env) ([]Finding, error) {
	book, err := e.Book(ctx)
	if err != nil {
		return nil, err
	}
	const publish = "consentctl policy publish FILE --apply"
	now := time.Now()
	if len(book.Versions()) == 0 {
		return []Finding{{
			Severity: Critical, Object: e.Topics.Policies, Fix: publish,
			Found: "no version of the policy is published: no grant permits anything",
		}}, nil
	}
	var out []Finding
	if _, inForce := book.Current(now); !inForce {
		out = append(out, Finding{
			Severity: Critical, Object: e.Topics.Policies, Fix: publish,
			Found: fmt.Sprintf("%d versions are published, and none is in force yet: no grant permits anything", len(book.Versions())),
		})
	}
	more, err := e.unpublished(ctx, book)
	return append(out, more...), err
}

func (e *Env) unpublished(ctx context.Context, book *policy.Book) ([]Finding, error) {
	all, err := e.records(ctx)
	if err != nil {
		return nil, err
	}
	groups := tally(all, func(r *record) (key, bool) {
		_, known := book.Version(r.policy)
		return key{source: r.source, what: string(r.policy)}, r.read && r.permits && r.policy != "" && !known
	})
	return findings(groups, func(k key, g group) Finding {
		return Finding{
			Severity: Critical, Object: "source " + k.source,
			Found: fmt.Sprintf("%s name policy version %s, which is not published: they permit nothing", g, k.what),
			Fix:   "publish that version, or let the producer name the one that people were shown",
		}
	}), nil
}
