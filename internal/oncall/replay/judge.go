package replay

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/kelisim/kelisim/events"
)

// Kind says how a stored state differs from what the log gives.
type Kind string

// The kinds.
const (
	Missing    Kind = "missing"    // nothing is stored
	Unreadable Kind = "unreadable" // what is stored is no state of this partition: guards deny it
	Older      Kind = "older"      // events are not in it that were applied
	Newer      Kind = "newer"      // it names an event that did not change it
	Altered    Kind = "altered"    // the same event, and another state
	Extra      Kind = "extra"      // the log gives none
	Unheld     Kind = "unheld"     // a hold is missing
)

// Effect says what a repair does to the answers about a subject.
type Effect string

// The effects, from the least to the most.
const (
	Same  Effect = "same"  // other bytes, the same answers
	Deny  Effect = "deny"  // something that is allowed would be denied, and nothing the other way
	Allow Effect = "allow" // something that is denied would be allowed
)

// difference is a stored state that the log contradicts.
type difference struct {
	kind   Kind
	effect Effect
	opens  events.PurposeSet // denied today, allowed by the log
	closes events.PurposeSet // allowed today, denied by the log
}

// compare says how what is stored differs from what is right, if it does.
func (b *Bench) compare(c Cache, partition int32, stored string, right events.State) (difference, bool) {
	if stored == right.Encoded() {
		return difference{}, false
	}
	have, err := c.StateOf(partition, stored)
	d := difference{kind: kindOf(have, err, right)}
	if err != nil {
		have = events.State{} // nothing of it counts
	}
	for c := range b.Rules.All().Codes() {
		one := events.SetOf(c)
		name := b.Rules.Names(one)[0]
		was, is := b.Rules.Decide(have, name), b.Rules.Decide(right, name)
		if mayAllow(is) && !mayAllow(was) {
			d.opens |= one
		}
		if was.Allowed && !is.Allowed || mayAllow(was) && !mayAllow(is) {
			d.closes |= one
		}
	}
	switch {
	case d.opens != 0:
		d.effect = Allow
	case d.closes != 0:
		d.effect = Deny
	default:
		d.effect = Same
	}
	return d, true
}

// mayAllow says whether a guard may allow by that answer. One that knows more
// versions of the policy than we do allows what is granted under them.
func mayAllow(a events.Answer) bool { return a.Allowed || a.Reason == events.PolicyUnknown }

func kindOf(have events.State, err error, right events.State) Kind {
	at, _ := have.Version()
	want, _ := right.Version()
	switch {
	case err != nil:
		return Unreadable
	case have.IsZero():
		return Missing
	case right.IsZero():
		return Extra
	case at.Offset < want.Offset:
		return Older
	case at.Offset > want.Offset:
		return Newer
	}
	return Altered
}

// fingerprintLen is how much of a hash tells states and subjects apart, in bytes:
// among a million, two alike once in 10^26.
const fingerprintLen = 16

// fingerprint names what must not stand in a file: a subject, or a state. The salt
// is the plan's, so that two plans cannot be joined by their subjects.
func fingerprint(salt string, text []byte) string {
	h := sha256.New()
	h.Write([]byte(salt)) // a hash never fails
	h.Write([]byte{0})
	h.Write(text)
	return hex.EncodeToString(h.Sum(nil)[:fingerprintLen])
}
