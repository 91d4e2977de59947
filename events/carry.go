package events

import "fmt"

// Carry returns a state as it begins in the log of a later generation, at the place
// where it is entered there: places of the old log come before all of the new, what
// was closed stays closed, what was open stays open, and copies of what was judged
// stay known. It is pure. A state of nobody, one that cannot be read, and a place
// that is in no later generation are errors.
func (r *Rules) Carry(s State, to Version) (State, error) {
	b := r.borrow()
	defer r.giveBack(b)
	if err := b.open(s); err != nil {
		return State{}, err
	}
	if of := b.ledger.version.Generation; s.IsZero() || to.Generation <= of {
		return State{}, fmt.Errorf("%w that generation %d can carry: of nobody, or of generation %d", ErrState, to.Generation, of)
	}
	b.ledger.enter(to)
	b.ledger.version = to
	return b.state(), nil
}

// enter takes up a state that is carried into the log: the first that is known of
// its subject here, or the same once more.
func (r *Rules) enter(s State, e *Event) (State, Outcome) {
	state, err := r.Carry(e.Carried, e.Logged.Position)
	if err != nil {
		return s, Outcome{Verdict: Park, Reason: ReasonState}
	}
	return state, Outcome{Verdict: Applied, Changed: true, Standing: r.Standing(state)}
}
