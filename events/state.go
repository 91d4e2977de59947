package events

import (
	"errors"
	"fmt"
)

// State is what the events of one subject add up to. It is a value: immutable,
// comparable, and at the same time the bytes that are stored, so that two
// services agree exactly when their bytes do. The zero State is that of a
// subject never heard of; it permits nothing.
type State struct{ bytes string }

// ErrState is the cause when bytes are not a state.
var ErrState = errors.New("not a state of this format")

const (
	offsetLen   = 6 // bytes of the offset in front: 2^48 records a partition
	stateFormat = 3 // the format byte behind it; raised when the encoding changes
	timeLen     = 6 // bytes of a moment: enough until the year 10889
	maxMoment   = 1<<(8*timeLen) - 1

	// maxSources bounds the sources that one subject's decisions name, by the
	// bits of a decision's first byte. Beyond it a source counts as mixed.
	maxSources = 63

	// maxPolicies bounds the policy versions that one subject's decisions name: one
	// for what opened each purpose and the erasure, and those of the acceptances.
	maxPolicies = MaxPurposes + 1 + 2
)

// ParseState returns the state with the given stored bytes. Empty bytes are the
// zero State.
func ParseState(bytes []byte) (State, error) {
	s := State{string(bytes)}
	var b bench
	if err := b.open(s); err != nil {
		return State{}, err
	}
	return s, nil
}

// Bytes returns the stored form. The first six bytes are the offset of its
// version, big-endian, so that a store can compare versions without the rest.
func (s State) Bytes() []byte { return []byte(s.bytes) }

// Encoded returns the stored form as a string, without allocation.
func (s State) Encoded() string { return s.bytes }

// IsZero says whether the subject was never heard of.
func (s State) IsZero() bool { return s.bytes == "" }

// Version returns the position of the last event that changed the state.
func (s State) Version() (Version, bool) {
	r := reader{rest: s.bytes}
	v := r.version()
	return v, s.bytes != "" && r.ok()
}

// read lays the state open in l. The format, after the version: the base time,
// the sources, the policy versions, the decisions (each once, however many gates
// it decided), the gates, and, if there is either, the remembered ids and the
// acceptances. Numbers are varints unless said otherwise; times and offsets are
// distances from base and version.
func (s State) read(l *ledger) error {
	if s.bytes == "" {
		return nil
	}
	r := reader{rest: s.bytes}
	l.version = r.version()
	base := r.moment()
	var sources [maxSources + 1]uint32
	for i := range r.count(maxSources) {
		sources[i+1] = r.uint32()
	}
	var policies [maxPolicies]policyRef
	known := r.count(maxPolicies)
	for i := range known {
		policies[i] = r.uint32()
	}
	for range r.count(maxDecisions) {
		l.table = append(l.table, r.decision(&sources, policies[:known], base, l.version.Offset))
	}
	decisions := l.table
	for range r.count(int(lastGate) + 1) {
		g := gate{key: gateKey(r.byte())}
		shape := r.byte()
		if shape&hasClosed != 0 {
			g.closed = r.pick(decisions)
		}
		if shape&hasOpened != 0 {
			g.opened = r.pick(decisions)
		}
		for range shape >> pendingShift {
			g.pending = append(g.pending, r.pick(decisions))
		}
		if shape&hasReview != 0 {
			g.review = r.moment()
		}
		if n := len(l.gates); n > 0 && l.gates[n-1].key >= g.key || len(g.pending) > maxPending {
			return fmt.Errorf("%w: gates out of order", ErrState)
		}
		l.gates = append(l.gates, g)
	}
	if r.rest != "" {
		r.tail(l)
	}
	if !r.ok() || r.rest != "" {
		return fmt.Errorf("%w: %d bytes", ErrState, len(s.bytes))
	}
	return nil
}

// maxDecisions bounds the table of a state: every gate with all it can hold.
const maxDecisions = (int(lastGate) + 1) * (2 + maxPending)

const (
	hasClosed    = 1 << 0
	hasOpened    = 1 << 1
	hasReview    = 1 << 2
	pendingShift = 3

	hasAccepted = 1 << 0 // an explicit one is never without
	hasExplicit = 1 << 1
)
