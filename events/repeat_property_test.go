package events

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// judged keeps which events a state was judged by. What is parked was not. A
// refusal that comes before its request says nothing yet, so it was not judged
// either: its next copy may be.
type judged map[string]bool

func (j judged) has(e *record) bool { return j[e.ID] }

func (j judged) add(e *record, out Outcome) {
	j[e.ID] = j[e.ID] || out.Verdict != Park && (e.Type != WithdrawalRefused || j[e.Request.ID])
}

// A copy of an event that the state was judged by before changes no answer. It
// changes no byte either, with one exception: where it is superseded, the bar
// of what supersedes it may rise, so that not even the next copy can pass.
func TestCopyChangesNothing(t *testing.T) {
	r := SeedRules()
	honest.hold(t, func(t failer, log []record) {
		t.Helper()
		seen := judged{}
		foldLog(r, log, func(before, after State, e *record, out Outcome) {
			if seen.has(e) {
				require.Contains(t, []Verdict{Duplicate, Superseded, NoEffect}, out.Verdict, "copy %v", e)
				if out.Verdict != Superseded {
					require.Equal(t, before, after, "copy %v: %v", e, out.Verdict)
				}
				require.Equal(t, withoutBy(answers(r, before)), withoutBy(answers(r, after)), "copy %v", e)
			}
			seen.add(e, out)
		})
	})
}

// Nor does it change what comes later: without its copies, a history ends in
// the same answers, decided by the same events.
func TestHistoryWithoutCopiesEndsTheSame(t *testing.T) {
	r := SeedRules()
	oneLog := honest
	oneLog.relaid = false
	oneLog.hold(t, func(t failer, log []record) {
		t.Helper()
		var once []record
		seen := judged{}
		full := foldLog(r, log, func(_, _ State, e *record, out Outcome) {
			if !seen.has(e) {
				once = append(once, *e)
			}
			seen.add(e, out)
		})
		require.Equal(t, answers(r, foldLog(r, once, nil)), answers(r, full))
	})
}

// withoutBy leaves out what decided an answer: a position of another generation
// of the log is not kept.
func withoutBy(all map[Purpose]Answer) map[Purpose]Answer {
	for p, a := range all {
		a.By = Version{}
		all[p] = a
	}
	return all
}

// However the log is cut into batches, between which a state is stored and read
// back, and from however far back it is read again: the end is the same bytes,
// and so is every moment at which the reader has caught up.
func TestReadingAgainChangesNothing(t *testing.T) {
	r := SeedRules()
	wild.hold(t, func(t failer, log []record) {
		t.Helper()
		at := []State{{}} // after so many records, read once
		foldLog(r, log, func(_, after State, _ *record, _ Outcome) { at = append(at, after) })
		var folded []*record
		for i := range log {
			if !log[i].poison {
				folded = append(folded, &log[i])
			}
		}
		var s State
		for i, back := 0, 0; i < len(folded); i, back = i+1, back*7+i+3 {
			for j := max(0, i-back%5); j <= i; j++ {
				s, _ = r.Apply(s, &folded[j].Event)
			}
			stored, err := ParseState(s.Bytes())
			require.NoError(t, err)
			require.Equal(t, at[i+1], stored)
			s = stored
		}
		for _, e := range folded {
			s, _ = r.Apply(s, &e.Event)
		}
		require.Equal(t, at[len(at)-1], s, "the whole log once more")
	})
}

// Equal ledgers have equal bytes: what changed nothing leaves no trace, so it
// can be left out.
func TestWhatChangedNothingLeavesNoTrace(t *testing.T) {
	r := SeedRules()
	wild.hold(t, func(t failer, log []record) {
		t.Helper()
		var told []record
		full := foldLog(r, log, func(_, _ State, e *record, out Outcome) {
			if out.Changed {
				told = append(told, *e)
			}
		})
		require.Equal(t, full, foldLog(r, told, nil))
	})
}
