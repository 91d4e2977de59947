package events

import "slices"

// maxMemory bounds how many superseded restrictions a subject remembers by id.
// A copy of an older one closes again: the safe side, and visible. People
// withdraw and consent again a few times in a life, not sixteen.
const maxMemory = 16

// memory holds the ids of restrictions that no longer stand, newest last, so
// that a late copy of one changes nothing.
type memory []uint64

func (m memory) has(id uint64) bool { return slices.Contains(m, id) }

func (m *memory) add(id uint64) {
	if id == 0 || m.has(id) {
		return
	}
	if len(*m) == maxMemory {
		*m = (*m)[1:]
	}
	*m = append(*m, id)
}
