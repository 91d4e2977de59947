package events

import (
	"iter"
	"math/bits"
)

// Purpose names what data is used for, as the catalogue spells it: "promotion".
type Purpose string

// PolicyVersion names a published version of the privacy policy.
type PolicyVersion string

// MaxPurposes bounds the codes of a catalogue: a [PurposeSet] is one machine
// word, and one byte names a purpose in a stored state. The seed policy has 13.
const MaxPurposes = 64

// Code is the small number of a purpose in stored states. A code is data of the
// catalogue and is never given to another purpose.
type Code uint8

// PurposeSet is a set of purposes by their codes. The zero set is empty.
type PurposeSet uint64

// SetOf returns the set of the given codes.
func SetOf(codes ...Code) PurposeSet {
	var s PurposeSet
	for _, c := range codes {
		s |= 1 << c
	}
	return s
}

// Has says whether the set holds c.
func (s PurposeSet) Has(c Code) bool { return s>>c&1 != 0 }

// Len returns how many purposes the set holds.
func (s PurposeSet) Len() int { return bits.OnesCount64(uint64(s)) }

// Codes returns the codes of the set, in rising order.
func (s PurposeSet) Codes() iter.Seq[Code] {
	return func(yield func(Code) bool) {
		for rest := uint64(s); rest != 0; rest &= rest - 1 {
			if !yield(Code(bits.TrailingZeros64(rest))) {
				return
			}
		}
	}
}
