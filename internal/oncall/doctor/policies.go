package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/oncall/cluster"
	"github.com/kelisim/kelisim/internal/policyfeed"
)

// checkPolicies finds records that are no versions, that no version of the policy is
// in force, and grants that name one which is not published: they permit nothing.
func checkPolicies(ctx context.Context, e *Env) ([]Finding, error) {
	book, skipped, err := e.Policies(ctx)
	if err != nil {
		return nil, err
	}
	out := e.skipped(skipped)
	const publish = "consentctl policy publish FILE --apply"
	now := time.Now()
	if len(book.Versions()) == 0 {
		return append(out, Finding{
			Severity: Critical, Object: e.Topics.Policies, Fix: publish,
			Found: "no version of the policy is published: no grant permits anything",
		}), nil
	}
	if _, inForce := book.Current(now); !inForce {
		out = append(out, Finding{
			Severity: Critical, Object: e.Topics.Policies, Fix: publish,
			Found: fmt.Sprintf("%d versions are published, and none is in force yet: no grant permits anything", len(book.Versions())),
		})
	}
	more, err := e.unpublished(ctx, book)
	return append(out, more...), err
}

// skipped says what stands on the topic of policies and counts for nobody. A version
// that somebody published and that contradicts an earlier one was meant to count.
func (e *Env) skipped(all []cluster.Skipped) []Finding {
	const shown = 3 // offsets of one kind
	byReason := make(map[string][]cluster.Skipped)
	for _, s := range all {
		byReason[s.Reason] = append(byReason[s.Reason], s)
	}
	var out []Finding
	for _, reason := range slices.Sorted(maps.Keys(byReason)) {
		of := byReason[reason]
		var offsets []string
		for _, s := range of[:min(shown, len(of))] {
			offsets = append(offsets, strconv.FormatInt(s.Offset, 10))
		}
		if len(of) > shown {
			offsets = append(offsets, "…")
		}
		f := Finding{
			Severity: Warning, Object: e.Topics.Policies,
			Found: fmt.Sprintf("%d records are no versions, and everybody skips them (%s, offset %s): %v", len(of), reason, strings.Join(offsets, ", "), of[0].Err),
			Fix:   "find who writes there (consentctl doctor --only acls); what was meant as a version: consentctl policy publish FILE --apply",
		}
		if reason != policyfeed.Malformed {
			f.Severity = Critical
			f.Fix = "publish what was meant under a name of its own: consentctl policy publish FILE --apply"
		}
		out = append(out, f)
	}
	return out
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
