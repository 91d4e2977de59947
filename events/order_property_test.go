package events

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// witness is what the model knows to be true of one subject, in real time.
type witness struct {
	folded []record
}

func (w *witness) see(e *record, out Outcome) {
	if out.Verdict != Park {
		w.folded = append(w.folded, *e)
	}
}

// refused says whether a folded refusal names the request and the purpose.
func (w *witness) refused(request *record, c Code) bool {
	for i := range w.folded {
		f := &w.folded[i]
		if f.Type == WithdrawalRefused && f.Request == (Ref{request.Source, request.ID}) && f.Purposes.Has(c) {
			return true
		}
	}
	return false
}

// last returns the real times of the last folded permission and restriction of
// a purpose; 0 where there is none.
func (w *witness) last(permits, restricts func(*record) bool) (permitted, restricted Millis) {
	for i := range w.folded {
		switch f := &w.folded[i]; {
		case permits(f):
			permitted = max(permitted, f.real)
		case restricts(f):
			restricted = max(restricted, f.real)
		}
	}
	return permitted, restricted
}

func (w *witness) consent(c Code) (permitted, restricted Millis) {
	return w.last(
		func(f *record) bool { return f.Type == Granted && f.Purposes.Has(c) },
		func(f *record) bool {
			return f.Type == SubjectErased ||
				f.Purposes.Has(c) && (f.Type == Withdrawn || f.Type == WithdrawalRequested && !w.refused(f, c))
		})
}

// contract returns the same for the agreement. Behind an erasure it begins anew, and
// later than whatever was suspended before.
func (w *witness) contract() (permitted, restricted Millis) {
	erased, _ := w.split()
	return w.last(
		func(f *record) bool { return f.Type == AgreementStarted },
		func(f *record) bool {
			return f.Type == AgreementEnded || f.Type == SubjectErased || f.Type == AgreementSuspended && erased.has(f)
		})
}

// split parts what was folded at the last erasure.
func (w *witness) split() (before, since witness) {
	at := 0
	for i := range w.folded {
		if w.folded[i].Type == SubjectErased {
			at = i
		}
	}
	return witness{w.folded[:at]}, witness{w.folded[at:]}
}

// has says whether the event, or a copy of it, was folded.
func (w *witness) has(e *record) bool {
	return slices.ContainsFunc(w.folded, func(f record) bool { return f.Source == e.Source && f.ID == e.ID })
}

// law returns the same for what needs no consent: being known is enough, until
// the subject is erased.
func (w *witness) law() (permitted, restricted Millis) {
	permitted, restricted = w.last(
		func(f *record) bool { return f.Type == AgreementStarted || f.Type == Granted },
		func(f *record) bool { return f.Type == SubjectErased })
	if restricted == 0 {
		permitted = 1
	}
	return permitted, restricted
}

// block returns the same for the block over all purposes or over one.
func (w *witness) block(of PurposeSet) (permitted, restricted Millis) {
	same := func(f *record) bool { return f.Purposes == 0 && of == 0 || f.Purposes&of != 0 }
	return w.last(
		func(f *record) bool { return f.Type == Unblocked && same(f) },
		func(f *record) bool { return f.Type == Blocked && same(f) })
}

// suspension returns the same for what lies over the agreement. An erasure forgets it,
// so that a copy does not lay it anew.
func (w *witness) suspension() (permitted, restricted Millis) {
	erased, since := w.split()
	return since.last(
		func(f *record) bool { return f.Type == AgreementResumed },
		func(f *record) bool { return f.Type == AgreementSuspended && !erased.has(f) })
}

// P2, in its strongest form: whatever is allowed, at any moment, is allowed by a
// permission that was decided, in real time, after every restriction folded so
// far. So no fault of DESIGN 3 re-opens a withdrawal while clocks differ by less
// than the uncertainty, neither at the end of a history nor on the way.
func TestAllowedOnlyByWhatWasDecidedAfterEveryRestriction(t *testing.T) {
	r := SeedRules()
	honest.hold(t, func(t failer, log []record) {
		t.Helper()
		var w witness
		foldLog(r, log, func(_, s State, e *record, out Outcome) {
			w.see(e, out)
			allowed := r.Standing(s).Allowed
			for c := range allowed.Codes() {
				var granted, stopped Millis
				switch rule := r.byCode[c]; rule.Basis {
				case Consent:
					granted, stopped = w.consent(c)
				case Contract:
					granted, stopped = w.contract()
					lifted, laid := w.suspension()
					require.True(t, laid == 0 || lifted > laid, "%s used under a suspension after %v", rule.Purpose, e)
				default:
					granted, stopped = w.law()
				}
				require.Greater(t, granted, stopped, "%s allowed after %v", r.byCode[c].Purpose, e)
				for _, of := range []PurposeSet{0, SetOf(c)} {
					lifted, laid := w.block(of)
					require.True(t, laid == 0 || lifted > laid, "%s used under a block after %v", r.byCode[c].Purpose, e)
				}
			}
		})
	})
}

// The first key, whatever the clocks say: a redriven permission keeps its first
// place, so it never beats a restriction that came after that place.
func TestRedrivenPermissionNeverBeatsWhatCameAfterItsFirstPlace(t *testing.T) {
	r := SeedRules()
	noCopies := wild // a copy that was never parked has a place of its own
	noCopies.copies, noCopies.relaid = false, false
	noCopies.hold(t, func(t failer, log []record) {
		t.Helper()
		var stops []*record
		foldLog(r, log, func(before, after State, e *record, out Outcome) {
			opened := r.Standing(after).Allowed &^ r.Standing(before).Allowed
			if e.Type == Granted && !e.First.IsZero() {
				for _, stop := range stops {
					if stop.Logged.Position.Offset > e.First.Position.Offset {
						require.Zero(t, opened&stop.Purposes, "%v beat %v", e, stop)
					}
				}
			}
			if e.Type == Withdrawn && e.First.IsZero() && out.Verdict == Applied {
				stops = append(stops, e)
			}
		})
	})
}

// The second key counts append times too, so a clock that runs ahead gains
// nothing: whatever it says, a permission of another source opens only if it
// was appended later than the restriction by more than the uncertainty.
func TestClockAheadGainsNothing(t *testing.T) {
	r := SeedRules()
	ahead := honest
	ahead.skew = 1_500 // beyond the uncertainty, but seldom so far that grants are parked
	ahead.hold(t, func(t failer, log []record) {
		t.Helper()
		var stops []*record
		foldLog(r, log, func(before, after State, e *record, out Outcome) {
			opened := r.Standing(after).Allowed &^ r.Standing(before).Allowed
			if e.Type == Granted {
				for _, stop := range stops {
					if stop.Source != e.Source && e.Logged.Appended <= stop.Logged.Appended+r.Uncertainty() {
						require.Zero(t, opened&stop.Purposes, "%v beat %v", e, stop)
					}
				}
			}
			if e.Type == Withdrawn && e.First.IsZero() && out.Verdict == Applied {
				stops = append(stops, e)
			}
		})
	})
}
