package events

// What the policy's calendar asks of a state: nothing here allows anything, and
// for a state that is zero or not readable every answer is none.

// Phase is where the user agreement of a subject stands. The zero Phase is no
// agreement.
type Phase uint8

// The phases.
const (
	NoneYet Phase = iota // none was started, or an erasure forgot it
	Lives                // started and not ended
	OnHold               // lives, and is suspended
	Over                 // ended, and not started again since
)

// Agreement is where the user agreement of a subject stands, and since when.
type Agreement struct {
	Phase Phase
	// Ended is when retention began (clause 2.5), 0 unless the phase is Over: the
	// later of decision and append time, as every restriction counts from, so that
	// a clock that is wrong, or a backfill, never makes an erasure due early.
	Ended Millis
	// By is the event that ended it; zero after the log was laid out anew.
	By Version
}

// Agreement returns where the agreement stands.
func (r *Rules) Agreement(s State) (a Agreement) {
	r.look(s, func(l *ledger) {
		g := l.find(agreementGate)
		switch {
		case g == nil:
		case !g.isOpen():
			a = Agreement{Over, g.closed.stopTime(), l.placeOf(&g.closed)}
		case l.suspending() != nil:
			a.Phase = OnHold
		default:
			a.Phase = Lives
		}
	})
	return a
}

// Erasure says whether the subject is erased, and since when.
type Erasure struct {
	Came   bool    // at any time
	Stands bool    // and nothing was permitted since
	At     Millis  // when it counts from; 0 unless it stands
	By     Version // the event; zero after the log was laid out anew
}

// Erasure returns whether the subject is erased.
func (r *Rules) Erasure(s State) (e Erasure) {
	r.look(s, func(l *ledger) {
		switch g := l.find(erasureGate); {
		case g == nil:
		case g.isOpen():
			e.Came = true
		default:
			e = Erasure{true, true, g.closed.stopTime(), l.placeOf(&g.closed)}
		}
	})
	return e
}

// Frozen says whether a block is in force over any purpose: then the subject must
// not be erased either.
func (r *Rules) Frozen(s State) (frozen bool) {
	r.look(s, func(l *ledger) { frozen = l.isBlocked() })
	return frozen
}

// Review is a refusal on whose ground a purpose goes on (clause 2.7).
type Review struct {
	Purpose Purpose
	Due     Millis // when the ground is to be looked at again
}

// Reviews returns the refusals that still stand, in the order of the codes of
// their purposes: the purpose is open, and neither granted nor withdrawn since.
func (r *Rules) Reviews(s State) (all []Review) {
	r.look(s, func(l *ledger) {
		for i := range l.gates {
			g := &l.gates[i]
			if g.key < blockGate && r.onConsent.Has(Code(g.key)) && g.review != 0 && r.stands(g) {
				all = append(all, Review{r.byCode[g.key].Purpose, g.review})
			}
		}
	})
	return all
}

// Accepted says whether v is the policy version that the subject accepted last,
// in whatever way, and whether it is the last one accepted in so many words. A
// version whose name has the same hash is taken for it; see [Rules.Covering].
func (r *Rules) Accepted(s State, v PolicyVersion) (last, explicit bool) {
	ref := policyRefOf(v)
	r.look(s, func(l *ledger) {
		last = ref != noPolicy && l.accepted.Policy == ref
		explicit = ref != noPolicy && l.explicit.Policy == ref
	})
	return last, explicit
}

// look has f look at a state, unless there is nothing to see.
func (r *Rules) look(s State, f func(*ledger)) {
	b := r.borrow()
	defer r.giveBack(b)
	if !s.IsZero() && b.open(s) == nil {
		f(&b.ledger)
	}
}

// placeOf returns where a decision stands, unless that was another log.
func (l *ledger) placeOf(d *Decision) Version {
	if d.Offset < 0 {
		return Version{}
	}
	return Version{Generation: l.version.Generation, Partition: l.version.Partition, Offset: d.Offset}
}
