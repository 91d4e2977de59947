package policy

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/kelisim/kelisim/events"
)

// Kind says what a change means to the person. The zero Kind widens: a change
// that nobody judged asks again.
type Kind uint8

// The kinds of changes.
const (
	Widening  Kind = iota // data is used for more, for longer, by more, or can be stopped less
	Narrowing             // the opposite
	Rewording             // neither: texts, labels, clauses, who acts on it
)

var kindNames = [...]string{"widens", "narrows", "rewords"}

// String returns the name of the kind, as the diff spells it.
func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		return "unknown"
	}
	return kindNames[k]
}

// MarshalText implements [encoding.TextMarshaler].
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Change is one difference between two versions.
type Change struct {
	Purpose events.Purpose `json:"purpose,omitzero"` // empty when it is of the whole policy
	Kind    Kind           `json:"kind"`
	What    string         `json:"what"` // in words
}

// String returns the change as a line of the diff.
func (c Change) String() string {
	return fmt.Sprintf("%s %s: %s", cmp.Or(string(c.Purpose), "policy"), c.Kind, c.What)
}

// Widens says whether the purpose asks for more in next than in old. A purpose
// that is new does; one that next does not have asks for nothing.
func Widens(old, next *Catalogue, purpose events.Purpose) bool {
	return slices.ContainsFunc(purposeChanges(old, next, purpose), func(c Change) bool { return c.Kind == Widening })
}

// Diff returns what changes from old to next, the purposes in the order of their
// codes and the policy's own texts behind them.
func Diff(old, next *Catalogue) []Change {
	var names []Purpose
	names = append(append(names, old.Purposes...), next.Purposes...)
	slices.SortStableFunc(names, func(a, b Purpose) int { return cmp.Or(int(a.Code)-int(b.Code), cmp.Compare(a.Name, b.Name)) })
	names = slices.CompactFunc(names, func(a, b Purpose) bool { return a.Name == b.Name })
	var all []Change
	for _, p := range names {
		all = append(all, purposeChanges(old, next, p.Name)...)
	}
	if old.Operator.Name != next.Operator.Name {
		all = append(all, Change{"", Rewording, fmt.Sprintf("operator %s is called %s", old.Operator.Name, next.Operator.Name)})
	}
	if !slices.Equal(old.Texts, next.Texts) {
		all = append(all, Change{"", Rewording, "texts are others"})
	}
	if old.Uncertainty != next.Uncertainty {
		all = append(all, Change{"", Rewording, fmt.Sprintf("clock uncertainty %d ms, was %d ms", next.Uncertainty, old.Uncertainty)})
	}
	return all
}

// purposeChanges returns what changes for one purpose.
func purposeChanges(old, next *Catalogue, name events.Purpose) []Change {
	a, b := old.find(name), next.find(name)
	switch {
	case a == nil && b == nil:
		return nil
	case a == nil:
		return []Change{{name, Widening, "new purpose"}}
	case b == nil:
		return []Change{{name, Narrowing, "purpose dropped"}}
	}
	d := comparison{name: name}
	if old.Operator.BIN != next.Operator.BIN { // consent names who it is given to
		d.say(Widening, "operator BIN %s, was %s", next.Operator.BIN, old.Operator.BIN)
	}
	d.purposes(a, b)
	return d.changes
}

// comparison gathers what changes from one form of a purpose to another.
type comparison struct {
	name    events.Purpose
	changes []Change
}

func (d *comparison) say(k Kind, format string, args ...any) {
	d.changes = append(d.changes, Change{d.name, k, fmt.Sprintf(format, args...)})
}

func (d *comparison) purposes(a, b *Purpose) {
	d.degree(int(b.Basis)-int(a.Basis), "basis %s, was %s", b.Basis, a.Basis) // in the order in which less stops it
	d.degree(int(a.Withdrawable)-int(b.Withdrawable), "withdrawable %s, was %s", b.Withdrawable, a.Withdrawable)
	was := a.sets()
	for i, now := range b.sets() {
		d.members(now, *was[i].items, *now.items)
	}
	d.flag("handed to third parties", a.ThirdParty, b.ThirdParty)
	d.flag("made public", a.Dissemination, b.Dissemination)
	switch {
	case b.Retention.exceeds(a.Retention):
		d.say(Widening, "kept for %s, was %s", b.Retention, a.Retention)
	case a.Retention != b.Retention:
		d.say(Narrowing, "kept for %s, was %s", b.Retention, a.Retention)
	}
	if a.Clause != b.Clause {
		d.say(Rewording, "clause %s, was %s", b.Clause, a.Clause)
	}
	d.label("kk", a.Labels.Kazakh, b.Labels.Kazakh)
	d.label("ru", a.Labels.Russian, b.Labels.Russian)
	d.label("en", a.Labels.English, b.Labels.English)
}

func (d *comparison) label(locale, was, now string) {
	if was != now {
		d.say(Rewording, "label in %s %q, was %q", locale, now, was)
	}
}

// degree reports a change on a scale: above 0 it widens, below it narrows.
func (d *comparison) degree(by int, format string, args ...any) {
	switch {
	case by > 0:
		d.say(Widening, format, args...)
	case by < 0:
		d.say(Narrowing, format, args...)
	}
}

// members reports what joins and leaves a set. Any country holds every other.
func (d *comparison) members(s set, was, now []string) {
	more, less := Widening, Narrowing
	if s.noun == "" {
		more, less, s.noun = Rewording, Rewording, "acting service"
	}
	everywhere := func(items []string) bool { return s.also != "" && slices.Contains(items, s.also) }
	for _, item := range now {
		if !slices.Contains(was, item) && !everywhere(was) {
			d.say(more, "new %s %s", s.noun, item)
		}
	}
	for _, item := range was {
		if !slices.Contains(now, item) && !everywhere(now) {
			d.say(less, "no %s %s any more", s.noun, item)
		}
	}
}

func (d *comparison) flag(what string, was, now bool) {
	switch {
	case now && !was:
		d.say(Widening, "%s", what)
	case was && !now:
		d.say(Narrowing, "not %s any more", what)
	}
}
