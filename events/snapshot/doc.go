// Package snapshot is the format of consent.state.v1, the compacted topic that
// holds the newest folded state of every subject: how its records are written
// and read. It is for whoever builds a cache, or something else, without reading
// the whole log; consumers/snapshots writes the topic.
//
// A partition of the topic belongs to the same partition of consent.events.v1.
// It holds one state for each subject, the holds, and a checkpoint that says up
// to where the states are all there. Whoever has read a partition to its end (see
// below) has, with those states and the events from the checkpoint on, what the
// whole log gives, byte for byte: a state that is newer than the checkpoint knows
// the events that it has seen and skips them.
//
// To its end means: until an answer says that nothing stands behind what was read.
// The end as it was at the beginning is not enough, for the log cleaner takes away
// what a newer record, behind that end, replaces.
//
// docs/state-topic.md says what other languages can read.
package snapshot
