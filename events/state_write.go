package events

import (
	"encoding/binary"
	"slices"
)

// writer puts a ledger into bytes.
type writer struct {
	out       []byte
	base      Millis
	sources   []uint32
	decisions []Decision // the table: each once
	refs      []int      // into the table, one for each decision of the ledger
	ref       int        // the next to write
}

// state returns the ledger as a State.
func (w *writer) state(l *ledger) State {
	*w = writer{out: w.out[:0], sources: w.sources[:0], decisions: w.decisions[:0], refs: w.refs[:0]}
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
	w.uvarint(uint64(len(l.past)))
	for _, id := range l.past {
		w.fixed(id, 8)
	}
	w.uvarint(uint64(len(l.policy)))
	w.out = append(w.out, l.policy...)
	if l.policy != "" {
		w.pick()
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

// head writes base, sources and decisions.
func (w *writer) head(last int64) {
	w.fixed(uint64(w.base), timeLen)
	w.uvarint(uint64(len(w.sources)))
	for _, s := range w.sources {
		w.fixed(uint64(s), 4)
	}
	w.uvarint(uint64(len(w.decisions)))
	for _, d := range w.decisions {
		w.decision(d, last)
	}
}

func (w *writer) decision(d Decision, last int64) {
	source := byte(slices.Index(w.sources, d.Source)+1) << 1
	if d.ID == permissionID(d.ID) {
		w.out = append(w.out, source)
		w.fixed(d.ID, 4)
	} else {
		w.out = append(w.out, source|1)
		w.fixed(d.ID, 8)
	}
	w.uvarint(uint64(d.Decided - w.base))
	w.varint(int64(d.Appended - d.Decided))
	w.uvarint(uint64(last - d.Offset))
}

func (w *writer) gate(g *gate) {
	shape := byte(len(g.pending)) << pendingShift
	if !g.closed.isZero() {
		shape |= hasClosed
	}
	if !g.opened.isZero() {
		shape |= hasOpened
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
