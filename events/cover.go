package events

import "fmt"

// policyRef stands for a policy version in stored states: 32 bits of a hash of
// its name. Two published versions with one hash are refused ([Rules.Covering]);
// a name that nobody published meets a published one by chance once in 10^9.
type policyRef = uint32

const noPolicy policyRef = 0

func policyRefOf(v PolicyVersion) policyRef {
	if v == "" {
		return noPolicy
	}
	return hash32(string(v))
}

// Covering returns the same rules with another answer to what consent covers: for
// every published policy version the purposes for which consent given under it
// still stands. A grant under a version that is not among them permits nothing.
// Two versions whose names have one hash are an error.
func (r *Rules) Covering(covered map[PolicyVersion]PurposeSet) (*Rules, error) {
	out := &Rules{
		byName: r.byName, all: r.all, refusable: r.refusable, uncertainty: r.uncertainty,
		byCode: r.byCode, asked: r.asked, onConsent: r.onConsent, onContract: r.onContract,
		covered: make(map[policyRef]PurposeSet, len(covered)),
	}
	for v, set := range covered {
		ref := policyRefOf(v)
		if _, taken := out.covered[ref]; taken || v == "" {
			return nil, fmt.Errorf("policy version %q: has no name, or that of another has the same hash: name it otherwise", v)
		}
		out.covered[ref] = set
	}
	return out, nil
}

// covers says whether a purpose that was granted is covered still: by the version
// of the grant, which must be known, or by one that the person accepted in so
// many words since. If not, the reason says why.
func (r *Rules) covers(l *ledger, c Code, granted *Decision) (bool, Reason) {
	under, known := r.covered[granted.Policy]
	switch {
	case !known:
		return false, PolicyUnknown
	case under.Has(c) || r.covered[l.explicit.Policy].Has(c) && l.explicit.follows(granted, r.uncertainty):
		return true, ByGrant
	}
	return false, PolicyOutdated
}

// follows says whether an acceptance came after a grant, so that it can widen it.
// Two keys, as for every permission: who accepted a version and grants under an
// older one afterwards has consented to the older one. After the log was laid out
// anew the places of both are gone, and their append times stand for them.
func (d *Decision) follows(granted *Decision, uncertainty Millis) bool {
	switch {
	case d.isZero() || d.Offset <= granted.Offset && granted.Offset != beforeAll:
		return false
	case d.Offset == beforeAll && d.Appended <= granted.Appended: // both are; those of one batch are equal, and deny
		return false
	case d.Source == granted.Source:
		return d.Decided > granted.Decided
	}
	return d.grantTime() > granted.stopTime()+uncertainty
}

// coversGate is covers for the purpose of a gate.
func (r *Rules) coversGate(l *ledger, g *gate) bool {
	covered, _ := r.covers(l, Code(g.key), &g.opened)
	return covered
}
