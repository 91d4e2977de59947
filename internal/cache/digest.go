package cache

import (
	"github.com/cespare/xxhash/v2"

	"github.com/kelisim/kelisim/events"
)

// Digest sums up all states of a partition: two services whose digests at the
// same position differ do not hold the same states. It is the sum, modulo 2^48,
// of one hash per subject: the low 48 bits of xxHash64 (seed 0) over subject, a
// zero byte, and state. 48 bits stay exact in Lua, whose numbers are doubles.
// It finds faults, not forgeries.
type Digest uint64

const digestMask = 1<<48 - 1

// Swap returns the digest after the subject's state changed. The zero State
// stands for none.
func (d Digest) Swap(s events.Subject, from, to events.State) Digest {
	return (d + hash(s, to) - hash(s, from)) & digestMask
}

// Plus returns the digest of both together, of subjects that are in only one.
func (d Digest) Plus(other Digest) Digest { return (d + other) & digestMask }

func hash(s events.Subject, state events.State) Digest {
	if state.IsZero() {
		return 0
	}
	var room [hashRoom]byte
	text := append(append(append(room[:0], s.Reveal()...), 0), state.Encoded()...)
	return Digest(xxhash.Sum64(text)) & digestMask
}

// hashRoom is enough for a UUID and a state of five purposes several times over;
// more is allowed, and allocates.
const hashRoom = 512
