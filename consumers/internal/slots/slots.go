// Package slots holds what the keys of all services have in common: they live in
// the Redis Cluster slot of their subject's partition, one Lua script brings
// many subjects of a slot in line at once, and what is about to change stands
// in the slot's outbox.
//
// What a service's keys are and what must stop is left to the services' packages
// beside this one, which alone call it. The layout of states, position and outbox is internal/cache's.
package slots

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events"
)

// MaxSubjects bounds the subjects of one script. The script unpacks them onto
// Lua's stack, which holds 8,000 values in Redis (LUAI_MAXCSTACK), and Redis
// serves nobody else while it runs: for a millisecond or two with 500.
const MaxSubjects = 500

// Slots are the slots of one generation of one service, by partition.
type Slots []consumers.Slot

// Of returns the slots of a service. Slot p must be that of partition p, and
// each prefix must carry its own hash tag.
func Of(all []consumers.Slot) (Slots, error) {
	if len(all) == 0 {
		return nil, errors.New("slots: none given")
	}
	seen := make(map[string]bool, len(all))
	for i, slot := range all {
		tag := hashTag(slot.Prefix)
		switch {
		case slot.Partition != int32(i):
			return nil, fmt.Errorf("slots: place %d holds partition %d", i, slot.Partition)
		case tag == "":
			return nil, fmt.Errorf("slots: prefix %q has no hash tag", slot.Prefix)
		case seen[tag]:
			return nil, fmt.Errorf("slots: hash tag %q is given twice", tag)
		}
		seen[tag] = true
	}
	return slices.Clone(all), nil
}

// At returns the slot of a partition.
func (s Slots) At(partition int32) (consumers.Slot, error) {
	if partition < 0 || int(partition) >= len(s) {
		return consumers.Slot{}, fmt.Errorf("slots: no partition %d among %d", partition, len(s))
	}
	return s[partition], nil
}

// Home returns the slot that holds a subject's keys.
func (s Slots) Home(subject events.Subject) consumers.Slot {
	return s[events.PartitionOf(subject.Reveal(), int32(len(s)))]
}

// Group returns the subjects slot by slot, at most [MaxSubjects] at a time.
func (s Slots) Group(subjects []events.Subject) iter.Seq2[consumers.Slot, []events.Subject] {
	groups := make(map[int32][]events.Subject)
	for _, subject := range subjects {
		p := s.Home(subject).Partition
		groups[p] = append(groups[p], subject)
	}
	return func(yield func(consumers.Slot, []events.Subject) bool) {
		for _, slot := range s {
			for chunk := range slices.Chunk(groups[slot.Partition], MaxSubjects) {
				if !yield(slot, chunk) {
					return
				}
			}
		}
	}
}

// hashTag returns what Redis Cluster hashes of a key: the text between the first
// brace and the next closing one. Without it every key would be a slot of its own.
func hashTag(key string) string {
	_, rest, _ := strings.Cut(key, "{")
	tag, _, closed := strings.Cut(rest, "}")
	if !closed {
		return ""
	}
	return tag
}
