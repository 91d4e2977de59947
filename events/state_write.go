package events

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// writer puts a ledger into bytes.
type writer struct {
	out       []byte
	base      Millis
	sources   []uint32
	policies  []policyRef
	decisions []Decision // the table: each once
	refs      []int      // into the table, one for each decision of the ledger
	ref       int        // the next to write
}

// state returns the ledger as a State.
func (w *writer) state(l *ledger) State {
	*w = writer{out: w.out[:0], sources: w.sources[:0], policies: w.policies[:0], decisions: w.decisions[:0], refs: w.refs[:0]}
	w.tabulate(l)
	if len(w.decisions) == 0 && len(l.past) == 0 {
		return State{}
	}
	w.version(l.version)
	w.head(l.version.Offset)
	w.uvarint(uint64(len(l.gates)))
	for i := range l.gates {
		w.gate(&l.gates[i])
	}
	if len(l.past) > 0 || !l.accepted.isZero() { // nearly always neither is there
		w.ids(l.past)
		w.acceptances(l)
	}
	return State{string(w.out)}
}

// tabulate enters every decision of the ledger, in the order they are stored.
func (w *writer) tabulate(l *ledger) {
	for i := range l.gates {
		g := &l.gates[i]
		w.collect(&g.closed)
		w.collect(&g.opened)
		for j := range g.pending {
			w.collect(&g.pending[j])
		}
	}
	w.collect(&l.accepted)
	w.collect(&l.explicit)
}

// collect enters a decision in the table, its source among the sources, and
// its time in the base.
func (w *writer) collect(d *Decision) {
	if d.isZero() {
		return
	}
	if d.Source != mixedSource && !slices.Contains(w.sources, d.Source) {
		if len(w.sources) == maxSources {
			stop := d.stopTime()
			d.Source, d.Decided, d.Appended = mixedSource, stop, stop
		} else {
			w.sources = append(w.sources, d.Source)
		}
	}
	if d.Policy != noPolicy && !slices.Contains(w.policies, d.Policy) {
		w.policies = append(w.policies, d.Policy)
	}
	for i := range w.decisions {
		if w.decisions[i].ID == d.ID && w.decisions[i] == *d {
			w.refs = append(w.refs, i)
			return
		}
	}
	w.refs = append(w.refs, len(w.decisions))
	if len(w.decisions) == 0 || d.Decided < w.base {
		w.base = d.Decided
	}
	w.decisions = append(w.decisions, *d)
}

func (w *writer) version(v Version) {
	w.fixed(uint64(v.Offset), offsetLen)
	w.out = append(w.out, stateFormat)
	w.uvarint(uint64(v.Generation))
	w.uvarint(uint64(v.Partition))
}

// head writes base, sources, policy versions and decisions.
func (w *writer) head(last int64) {
	w.fixed(uint64(w.base), timeLen)
	w.uvarint(uint64(len(w.sources)))
	for _, s := range w.sources {
		w.fixed(uint64(s), 4)
	}
	w.uvarint(uint64(len(w.policies)))
	for _, p := range w.policies {
		w.fixed(uint64(p), 4)
	}
	w.uvarint(uint64(len(w.decisions)))
	for _, d := range w.decisions {
		w.decision(d, last)
	}
}

func (w *writer) decision(d Decision, last int64) {
	source := byte(slices.Index(w.sources, d.Source)+1) << 1
	if d.ID == permissionID(d.ID) {
		w.permission(source, d)
	} else {
		w.out = append(w.out, source|1)
		w.fixed(d.ID, 8)
	}
	w.uvarint(uint64(d.Decided - w.base))
	w.varint(int64(d.Appended - d.Decided))
	w.uvarint(uint64(last - d.Offset))
}

// permission writes head, id and policy version of a decision with a short id.
// Nearly always the version is the first of the table, which costs nothing.
func (w *writer) permission(head byte, d Decision) {
	i := slices.Index(w.policies, d.Policy) + 1
	usual := i == 1 || len(w.policies) == 0
	if !usual {
		head |= otherPolicy
	}
	w.out = append(w.out, head)
	w.fixed(d.ID, 4)
	if !usual {
		w.uvarint(uint64(i))
	}
}

func (w *writer) ids(ids memory) {
	w.uvarint(uint64(len(ids)))
	for _, id := range ids {
		w.fixed(id, 8)
	}
}

// otherPolicy in the head of a decision says that the number of its policy version
// follows. maxSources leaves the bit free.
const otherPolicy = 1 << 7

func (w *writer) acceptances(l *ledger) {
	var has byte
	if !l.accepted.isZero() {
		has |= hasAccepted
	}
	if !l.explicit.isZero() {
		has |= hasExplicit
	}
	w.out = append(w.out, has)
	for range bits.OnesCount8(has) {
		w.pick()
	}
}

func (w *writer) gate(g *gate) {
	shape := byte(len(g.pending)) << pendingShift
	if !g.closed.isZero() {
		shape |= hasClosed
	}
	if !g.opened.isZero() {
		shape |= hasOpened
	}
	if g.review != 0 {
		shape |= hasReview
	}
	w.out = append(w.out, byte(g.key), shape)
	if shape&hasClosed != 0 {
		w.pick()
	}
	if shape&hasOpened != 0 {
		w.pick()
	}
	for range g.pending {
		w.pick()
	}
	if g.review != 0 {
		w.fixed(uint64(g.review), timeLen)
	}
}

// pick writes which decision of the table comes next.
func (w *writer) pick() {
	w.uvarint(uint64(w.refs[w.ref]))
	w.ref++
}

func (w *writer) uvarint(v uint64) { w.out = binary.AppendUvarint(w.out, v) }
func (w *writer) varint(v int64)   { w.out = binary.AppendVarint(w.out, v) }

// fixed writes the low n bytes of v, big-endian.
func (w *writer) fixed(v uint64, n int) {
	for i := n - 1; i >= 0; i-- {
		w.out = append(w.out, byte(v>>(8*i)))
	}
}
