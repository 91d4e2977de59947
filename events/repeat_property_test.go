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
