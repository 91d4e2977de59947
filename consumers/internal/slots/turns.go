package slots

import (
	"iter"
	"slices"
	"strconv"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events"
)

// scriptWork bounds what one script over turns does, in members that it removes
// or adds, of 0.1 to 0.4 µs each (measured): one to two milliseconds of Redis, so
// that no check of the guard waits longer than that behind a script.
const scriptWork = 5000

// turnWork is what each turn costs beside, in members: its place in the outbox
// and its mark are looked up and written (measured: 3 µs).
const turnWork = 10

// Newest returns the turns with only the newest of each subject, in the order
// in which the subjects first came. Canaries are left out: nobody acts on them, and
// no partner is told to stop what it never did.
func Newest(turns []consumers.Turn) []consumers.Turn {
	place := make(map[events.Subject]int, len(turns))
	newest := make([]consumers.Turn, 0, len(turns))
	for _, t := range turns {
		i, seen := place[t.Subject]
		switch {
		case t.Subject.IsCanary():
		case !seen:
			place[t.Subject] = len(newest)
			newest = append(newest, t)
		case older(newest[i].Version, t.Version):
			newest[i] = t
		}
	}
	return newest
}

func older(a, b events.Version) bool {
	if a.Generation != b.Generation {
		return a.Generation < b.Generation
	}
	return a.Offset < b.Offset
}

// Chunks returns the turns in pieces that one script can take, when each turn
// may make it remove or add the given number of members.
func Chunks(turns []consumers.Turn, members int) iter.Seq[[]consumers.Turn] {
	size := min(max(scriptWork/(turnWork+members), 1), MaxSubjects)
	return slices.Chunk(turns, size)
}

// Signs spells standings for scripts: one sign per purpose, in the order of the
// purposes.
type Signs []events.Code

// The signs of a standing.
const (
	Allowed   = '+' // the person may be processed for the purpose
	Stopped   = '-' // a decision closed it
	Undecided = '.' // nobody decided: denied, but there is nothing to stop
)

// SignsOf returns the signs for the given purposes.
func SignsOf(rules *events.Rules, purposes []events.Purpose) (Signs, error) {
	signs := make(Signs, 0, len(purposes))
	for _, p := range purposes {
		if _, err := rules.Set(p); err != nil {
			return nil, err
		}
		rule, _ := rules.Rule(p)
		signs = append(signs, rule.Code)
	}
	return signs, nil
}

// Spell writes a standing: "+-.+" for four purposes. What is both allowed and
// stopped counts as stopped.
func (s Signs) Spell(standing events.Standing) string {
	text := make([]byte, len(s))
	for i, code := range s {
		text[i] = Sign(standing, code)
	}
	return string(text)
}

// Sign returns the sign of one purpose.
func Sign(standing events.Standing, code events.Code) byte {
	switch {
	case standing.Stopped.Has(code):
		return Stopped
	case standing.Allowed.Has(code):
		return Allowed
	}
	return Undecided
}

// Offset spells the version of a turn for scripts: the offset alone, for a slot
// is one partition of one generation.
func Offset(t consumers.Turn) string { return strconv.FormatInt(t.Version.Offset, 10) }
