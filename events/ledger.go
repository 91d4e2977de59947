package events

import "slices"

// ledger is a State laid open, for the time of one fold. It owns its slices.
type ledger struct {
	version  Version
	gates    []gate // by rising key
	past     memory
	accepted Decision   // of the last accepted policy version, in whatever way
	explicit Decision   // of the last one accepted in so many words
	table    []Decision // as read: gates refer to it
}

// find returns the gate, or nil.
func (l *ledger) find(k gateKey) *gate {
	for i := range l.gates {
		if l.gates[i].key == k {
			return &l.gates[i]
		}
	}
	return nil
}

// use returns the gate, new if need be. The pointer holds until the next use.
func (l *ledger) use(k gateKey) *gate {
	i := 0
	for i < len(l.gates) && l.gates[i].key < k {
		i++
	}
	if i == len(l.gates) || l.gates[i].key != k {
		l.gates = slices.Insert(l.gates, i, gate{key: k})
	}
	return &l.gates[i]
}

// drop forgets gates that hold nothing.
func (l *ledger) drop() {
	l.gates = slices.DeleteFunc(l.gates, func(g gate) bool {
		return g.closed.isZero() && g.opened.isZero() && len(g.pending) == 0
	})
}

// open opens a gate against its own restrictions and against an erasure.
func (l *ledger) open(k gateKey, d Decision, uncertainty Millis) effect {
	g := l.use(k)
	erasure := l.find(erasureGate)
	if erasure == nil {
		return g.open(d, &gate{}, &l.past, uncertainty)
	}
	result := g.open(d, erasure, &l.past, uncertainty)
	if !k.isOverlay() {
		erasure.knowAgain(g)
	}
	return result
}

// refuse lifts what a request restricts, for one gate.
func (l *ledger) refuse(k gateKey, request uint64, review Millis) effect {
	g := l.use(k)
	result := g.refuse(request, review, &l.past)
	if erasure := l.find(erasureGate); erasure != nil {
		erasure.knowAgain(g)
	}
	return result
}

// knowAgain opens the gate of the erasure when another has opened since.
func (g *gate) knowAgain(other *gate) {
	if !g.isOpen() && other.isOpen() {
		g.opened = other.opened
	}
}

// enter starts the log of another generation: places of the old one come
// before all of the new.
func (l *ledger) enter(v Version) {
	if l.version.SameLog(v) {
		return
	}
	age := func(d *Decision) {
		if !d.isZero() {
			d.Offset = beforeAll
		}
	}
	for i := range l.gates {
		g := &l.gates[i]
		age(&g.closed)
		age(&g.opened)
		for j := range g.pending {
			age(&g.pending[j])
		}
	}
	age(&l.accepted)
	age(&l.explicit)
}

// erase closes everything with d and forgets the rest; what was closed or open
// stays beaten, and copies of it stay known.
func (l *ledger) erase(d Decision, uncertainty Millis) effect {
	if l.erasedBy(d.ID) {
		return duplicate
	}
	all := gate{key: erasureGate}
	for i := range l.gates {
		g := &l.gates[i]
		d.Decided = max(d.Decided, g.opened.Decided)
		l.past.add(g.closed.ID)
		all.closed = join(all.closed, g.closed, uncertainty)
		for _, p := range g.pending {
			l.past.add(p.ID)
			all.closed = join(all.closed, p, uncertainty)
		}
	}
	d.Decided = max(d.Decided, l.accepted.Decided, l.explicit.Decided)
	all.closed = join(all.closed, d, uncertainty)
	l.gates = append(l.gates[:0], all)
	l.accepted, l.explicit = Decision{}, Decision{}
	return applied
}

// erasedBy says whether the erasure with this id came before.
func (l *ledger) erasedBy(id uint64) bool {
	g := l.find(erasureGate)
	return g != nil && g.closed.ID == id || l.past.has(id)
}
