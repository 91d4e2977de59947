package events

import "slices"

// Reason says why an answer is as it is. The zero Reason is none, and denies.
type Reason uint8

// The reasons. The first group allows; everything behind it denies.
const (
	NoReason       Reason = iota
	ByGrant               // the person consented
	ByContract            // the agreement lives
	ByLaw                 // the law asks for it (clauses 2.7, 2.8)
	UnknownSubject        // never heard of
	UnknownPurpose        // not in the catalogue of the version in force
	NeverGranted          // known, but nobody asked for this purpose
	ByWithdrawal          // the person withdrew
	ByRequest             // a withdrawal request is open
	ByBlock               // use is frozen
	ByErasure             // the subject was erased
	NoAgreement           // no agreement was started
	AgreementOver         // the agreement ended
	Suspended             // the agreement is suspended
	PolicyUnknown         // granted under a policy version that is not published, or not known yet
	PolicyOutdated        // granted under a version that no longer covers it: ask the person again
	Held                  // an event of the subject is parked
	Stale                 // the cache may be behind the log
	Unreachable           // the cache could not be asked
)

var reasonNames = [...]string{
	"none", "granted", "contract", "law", "unknown-subject", "unknown-purpose", "never-granted", "withdrawn",
	"withdrawal-requested", "blocked", "erased", "no-agreement", "agreement-ended", "agreement-suspended", "policy-unknown", "policy-outdated", "held", "stale", "unreachable",
}

// String returns the name of the reason, as answers and metrics spell it.
func (r Reason) String() string {
	if int(r) >= len(reasonNames) {
		return "unknown"
	}
	return reasonNames[r]
}

// Answer says whether one subject's data may be used for one purpose, and what
// decided it. The zero Answer denies.
type Answer struct {
	Allowed bool
	Reason  Reason
	Basis   Basis   // the ground the purpose rests on
	By      Version // the event that decided it; zero where none did
}

// Decide reads the answer for one purpose out of a state.
func (r *Rules) Decide(s State, p Purpose) Answer {
	c, known := r.byName[p]
	if !known {
		return Answer{Reason: UnknownPurpose}
	}
	b := r.borrow()
	defer r.giveBack(b)
	if s.IsZero() || b.open(s) != nil {
		return Answer{Reason: UnknownSubject, Basis: r.byCode[c].Basis}
	}
	return r.decide(&b.ledger, c)
}

func (r *Rules) decide(l *ledger, c Code) Answer {
	rule := &r.byCode[c]
	answer := func(why Reason, by Decision) Answer {
		a := Answer{Allowed: why >= ByGrant && why <= ByLaw, Reason: why, Basis: rule.Basis}
		if !by.isZero() && by.Offset >= 0 {
			a.By = Version{Generation: l.version.Generation, Partition: l.version.Partition, Offset: by.Offset}
		}
		return a
	}
	if g := l.blocking(c); g != nil {
		return answer(ByBlock, g.closed)
	}
	if !r.asked.Has(c) {
		return answer(UnknownPurpose, Decision{})
	}
	key, never, over, open := consentGate+gateKey(c), NeverGranted, ByWithdrawal, ByGrant
	switch rule.Basis {
	case Law:
		if g := l.find(erasureGate); g != nil && !g.isOpen() {
			return answer(ByErasure, g.closed)
		}
		return answer(ByLaw, Decision{})
	case Contract:
		if g := l.suspending(); g != nil {
			return answer(Suspended, g.closed)
		}
		key, never, over, open = agreementGate, NoAgreement, AgreementOver, ByContract
	}
	g := l.find(key)
	switch {
	case g != nil && g.isOpen() && !r.stands(g):
		return answer(over, Decision{})
	case g != nil && g.isOpen() && open == ByGrant:
		_, why := r.covers(l, c, &g.opened)
		return answer(why, g.opened)
	case g != nil && g.isOpen():
		return answer(open, g.opened)
	case g != nil && len(g.pending) > 0 && rule.Withdrawable == Refusable:
		return answer(ByRequest, g.pending[0])
	case g != nil && len(g.pending) > 0:
		return answer(over, g.pending[0])
	case g != nil && !g.closed.isZero():
		return answer(over, g.closed)
	}
	if erasure := l.find(erasureGate); erasure != nil {
		return answer(ByErasure, erasure.closed)
	}
	return answer(never, Decision{})
}

// Standing is where a subject stands for all purposes at once.
type Standing struct {
	Allowed PurposeSet
	Stopped PurposeSet // closed by a decision: withdrawn, requested, blocked, suspended, ended or erased; or granted under a policy that covers it no longer; or the policy in force lacks the purpose
}

// Standing returns where the subject stands.
func (r *Rules) Standing(s State) Standing {
	b := r.borrow()
	defer r.giveBack(b)
	if s.IsZero() || b.open(s) != nil {
		return Standing{}
	}
	return r.standing(&b.ledger)
}

// standing says for all purposes what decide says for one, in one walk.
func (r *Rules) standing(l *ledger) Standing {
	out := Standing{Allowed: r.all &^ r.onConsent &^ r.onContract}
	var decided, blocked PurposeSet
	for i := range l.gates {
		g := &l.gates[i]
		var covers PurposeSet
		switch {
		case g.key < blockGate:
			covers = SetOf(Code(g.key)) & r.onConsent
		case g.key == agreementGate:
			covers = r.onContract
		case g.key == erasureGate:
			out.Stopped |= (r.onConsent | r.onContract) &^ decided
			if !g.isOpen() {
				out.Stopped |= out.Allowed &^ decided
				out.Allowed &= decided
			}
			continue
		case g.isOpen():
			continue
		case g.key == blockAllGate:
			blocked = r.all
			continue
		case g.key == suspensionGate:
			blocked |= r.onContract
			continue
		default:
			blocked |= SetOf(Code(g.key-blockGate)) & r.all
			continue
		}
		decided |= covers
		if r.stands(g) && (g.key == agreementGate || r.coversGate(l, g)) {
			out.Allowed |= covers
		} else {
			out.Stopped |= covers
		}
	}
	lacking := out.Allowed &^ r.asked
	return Standing{Allowed: out.Allowed &^ lacking &^ blocked, Stopped: out.Stopped | lacking | blocked}
}

// blocking returns the block in force over a purpose, or nil.
func (l *ledger) blocking(c Code) *gate {
	for _, k := range [...]gateKey{blockAllGate, blockGate + gateKey(c)} {
		if g := l.find(k); g != nil && !g.isOpen() {
			return g
		}
	}
	return nil
}

// suspending returns the suspension in force, or nil. An agreement that ended is
// not suspended any more.
func (l *ledger) suspending() *gate {
	g, agreement := l.find(suspensionGate), l.find(agreementGate)
	if g == nil || g.isOpen() || agreement != nil && !agreement.isOpen() {
		return nil
	}
	return g
}

// isBlocked says whether any block is in force.
func (l *ledger) isBlocked() bool {
	return slices.ContainsFunc(l.gates, func(g gate) bool {
		return blockGate <= g.key && g.key <= blockAllGate && !g.isOpen()
	})
}

// stands says whether the gate is open by the policy in force. A purpose that goes
// on because a request was refused is open only while requests for it can be
// refused: where they cannot, the request was the withdrawal.
func (r *Rules) stands(g *gate) bool {
	return g.isOpen() && (g.key >= blockGate || g.review == 0 || r.byCode[g.key].Withdrawable == Refusable)
}
