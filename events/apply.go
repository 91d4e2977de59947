package events

// Verdict says what an event did to a state. The zero Verdict is none.
type Verdict uint8

// The verdicts.
const (
	Repeated   Verdict = 1 + iota // the state already holds it: the log was read again
	Duplicate                     // a copy of an event that was judged before
	Superseded                    // a permission that a restriction beats: ask the person again
	NoEffect                      // says nothing about this subject's purposes
	Applied
	Park // cannot be judged: keep it aside, hold the subject
)

var verdictNames = [...]string{"none", "repeated", "duplicate", "superseded", "no-effect", "applied", "park"}

// String returns the name of the verdict, as metrics spell it.
func (v Verdict) String() string {
	if int(v) >= len(verdictNames) {
		return "unknown"
	}
	return verdictNames[v]
}

// Outcome is a verdict and what there is to say about it.
type Outcome struct {
	Verdict Verdict
	Reason  string // of Park: a short stable name, fit for a metric label
	Aside   bool   // of Park: it could only have permitted; the subject need not be held
	Alarm   string // something to tell a person, though it was applied; same form

	Changed  bool     // the state is another one
	Standing Standing // where the subject stands now, if it changed
}

// Why an event is parked by the fold, and what it may alarm about.
const (
	ReasonFuture       = "from-the-future"      // permits, and was decided later than appended
	ReasonNotRefusable = "not-refusable"        // refuses a request that nobody may refuse (2.6)
	ReasonFrozen       = "frozen-by-block"      // erasure of a blocked subject
	ReasonTrust        = "lesser-trust"         // permits, and is no decision of the person
	ReasonState        = "state-unreadable"     // the state is damaged: rebuild it from the log
	AlarmFutureStop    = "stop-from-the-future" // a restriction by a clock that runs ahead
)

// maxAhead bounds how far ahead of its append time a restriction's stamp is
// believed, in milliseconds. Believing it keeps out what the same fast clock
// stamped before it; the bound lets the person consent again soon. Five minutes
// is what Kerberos allows clocks to differ (RFC 4120, section 1.6).
const maxAhead Millis = 5 * 60 * 1000

// Apply folds one event into a state by two keys to open, one to close. It is
// pure; s is never changed. The event must be of the state's subject and come
// from the subject's own partition. A state that is not readable parks: to start
// it anew would forget what was withdrawn.
func (r *Rules) Apply(s State, e *Event) (State, Outcome) {
	b := r.borrow()
	defer r.giveBack(b)
	l := &b.ledger
	if b.open(s) != nil {
		return s, Outcome{Verdict: Park, Reason: ReasonState}
	}
	at := e.Logged.Position
	if !s.IsZero() && (at.Generation < l.version.Generation || at.SameLog(l.version) && at.Offset <= l.version.Offset) {
		return s, Outcome{Verdict: Repeated}
	}
	if e.Type == StateCarried {
		return r.enter(s, e)
	}
	l.enter(at)
	out, changed := r.fold(l, e)
	if !changed {
		return s, out
	}
	l.version = at
	l.drop()
	out.Changed, out.Standing = true, r.standing(l)
	return b.state(), out
}

// fold applies e to the open ledger and says whether anything changed. What a
// purpose rests on today has no say: a withdrawal told while the policy calls a
// purpose law is there when a later version asks for consent again. A request for a
// purely optional purpose is kept as one too; nobody can refuse it, so it is the
// withdrawal.
func (r *Rules) fold(l *ledger, e *Event) (Outcome, bool) {
	if !e.Method.mayCause(e.Type) {
		return Outcome{Verdict: Park, Reason: ReasonTrust, Aside: true}, false
	}
	d := e.decision()
	var out Outcome
	if d.Decided > d.Appended+r.uncertainty {
		if !e.Type.Restricts() {
			return Outcome{Verdict: Park, Reason: ReasonFuture}, false
		}
		d.Decided, out.Alarm = min(d.Decided, d.Appended+maxAhead), AlarmFutureStop
	}
	var total effect
	switch e.Type {
	case Granted:
		for c := range e.Purposes.Codes() {
			total = max(total, l.open(consentGate+gateKey(c), d, r.uncertainty))
		}
	case Withdrawn:
		for c := range e.Purposes.Codes() {
			total = max(total, l.use(consentGate+gateKey(c)).close(d, &l.past, r.uncertainty))
		}
	case WithdrawalRequested:
		for c := range e.Purposes.Codes() {
			total = max(total, l.use(consentGate+gateKey(c)).request(d, &l.past, r.uncertainty))
		}
	case WithdrawalRefused:
		if e.Purposes&^r.refusable != 0 {
			return Outcome{Verdict: Park, Reason: ReasonNotRefusable, Aside: true}, false
		}
		request := identity(e.Request.Source, e.Request.ID)
		for c := range e.Purposes.Codes() {
			total = max(total, l.refuse(consentGate+gateKey(c), request, e.ReviewBy))
		}
	case Blocked, Unblocked:
		total = r.block(l, e, d)
	case AgreementStarted:
		total = l.open(agreementGate, d, r.uncertainty)
	case AgreementSuspended:
		total = l.use(suspensionGate).close(d, &l.past, r.uncertainty)
	case AgreementResumed:
		total = l.open(suspensionGate, d, r.uncertainty)
	case AgreementEnded:
		total = l.use(agreementGate).close(d, &l.past, r.uncertainty)
	case PolicyAccepted:
		total = l.accept(d, e.Method.isExplicit(), r.uncertainty)
	case SubjectErased:
		if l.isBlocked() && !l.erasedBy(d.ID) {
			return Outcome{Verdict: Park, Reason: ReasonFrozen}, false
		}
		total = l.erase(d, r.uncertainty)
	}
	out.Verdict = [...]Verdict{none: NoEffect, duplicate: Duplicate, superseded: Superseded, barred: Superseded, applied: Applied}[total]
	return out, total >= barred
}

// block lays a block over the named purposes, or over all, and lifts it. Lifting
// what was never laid is remembered: no copy of it may lift what is laid later.
func (r *Rules) block(l *ledger, e *Event, d Decision) (total effect) {
	one := func(k gateKey) {
		if e.Type == Blocked {
			total = max(total, l.use(k).close(d, &l.past, r.uncertainty))
		} else {
			total = max(total, l.open(k, d, r.uncertainty))
		}
	}
	if e.Purposes == 0 {
		one(blockAllGate)
	}
	for c := range e.Purposes.Codes() {
		one(blockGate + gateKey(c))
	}
	return total
}

// accept moves the pointer to the accepted policy version, and the one to what was
// accepted in so many words. It opens no gate.
func (l *ledger) accept(d Decision, explicit bool, uncertainty Millis) effect {
	d.ID = permissionID(d.ID)
	if g := l.find(erasureGate); g != nil {
		if result := d.against(&g.closed, uncertainty); result >= superseded {
			return result
		}
	}
	total := duplicate
	if d.Policy == noPolicy {
		return total
	}
	if d.Decided > l.accepted.Decided {
		l.accepted, total = d, applied
	}
	if explicit && d.Decided > l.explicit.Decided {
		l.explicit, total = d, applied
	}
	return total
}
