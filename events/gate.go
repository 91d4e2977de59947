package events

import "slices"

// maxPending bounds the undecided withdrawal requests of one purpose. A person
// has one; a fifth closes the purpose for good, which is the safe side.
const maxPending = 4

// gate is one thing that opens and closes: a purpose on consent, a block, the
// agreement, its suspension. It opens with two keys and closes with one.
//
// Copies change nothing, however late: a closing is known again by its id, and
// whatever permission was judged before a closing has raised its bar, so that
// no copy of it can pass (see raise).
type gate struct {
	key     gateKey
	closed  Decision   // every closing, joined; none when it never closed
	opened  Decision   // the latest permission that beats closed; none when there is none
	pending []Decision // requests not decided yet: they restrict, opened or not, and can be refused
	review  Millis     // when the ground of the last refusal is to be looked at again; 0 if never
}

// gateKey says what a gate stands for; purposes and blocks carry a code.
type gateKey uint8

const (
	consentGate   gateKey = 0 // + code of a purpose on consent
	blockGate     gateKey = MaxPurposes
	blockAllGate  gateKey = 2 * MaxPurposes
	agreementGate gateKey = 2*MaxPurposes + 1
	erasureGate   gateKey = 2*MaxPurposes + 2 // closed by an erasure: every permission must beat it; open since the first that did

	suspensionGate gateKey = 2*MaxPurposes + 3 // behind the erasure: what is stored keeps its keys
	lastGate               = suspensionGate
)

// isOverlay says whether the gate lies over others: a block, or the suspension of
// the agreement.
func (k gateKey) isOverlay() bool {
	return blockGate <= k && k <= blockAllGate || k == suspensionGate
}

// isOpen says whether the gate lets through: an overlay that was never laid does,
// anything else needs a permission.
func (g *gate) isOpen() bool {
	if g.key.isOverlay() && g.closed.isZero() {
		return true
	}
	return !g.opened.isZero() && len(g.pending) == 0
}

// open tries permission d against every restriction of the gate and against
// those of outer.
func (g *gate) open(d Decision, outer *gate, past *memory, uncertainty Millis) effect {
	d.ID = permissionID(d.ID)
	if g.opened.Source == d.Source && g.opened.ID == d.ID && g.opened.Decided == d.Decided {
		return duplicate
	}
	result := max(d.against(&g.closed, uncertainty), d.against(&outer.closed, uncertainty))
	if result >= superseded {
		return result
	}
	newer := g.opened.isZero() || d.Decided > g.opened.Decided
	settled := g.settle(past, uncertainty, func(p *Decision) bool {
		verdict := d.against(p, uncertainty)
		result = max(result, verdict)
		return verdict < superseded
	})
	switch {
	case result < superseded && (settled || newer):
		g.opened, g.review = d, 0 // consented anew: no obligation holds it open
		return applied
	case settled || newer:
		g.opened = d // waits until the requests that beat it are refused
		return barred
	}
	return max(duplicate, result) // a later decision stands already: nothing to renew
}

// close shuts the gate for good: only a permission that beats d opens it again.
func (g *gate) close(d Decision, past *memory, uncertainty Millis) effect {
	if g.knows(d.ID) || past.has(d.ID) {
		return duplicate
	}
	d.Decided = max(d.Decided, g.opened.Decided) // no copy of what it closes may pass
	g.settle(past, uncertainty, func(*Decision) bool { return true })
	past.add(g.closed.ID)
	g.closed, g.opened, g.review = join(g.closed, d, uncertainty), Decision{}, 0
	return applied
}

// settle makes the chosen requests part of what is closed: no refusal brings
// back what they restrict, but a permission that beats them does.
func (g *gate) settle(past *memory, uncertainty Millis, choose func(*Decision) bool) (settled bool) {
	kept := g.pending[:0]
	for i := range g.pending {
		p := &g.pending[i]
		if !choose(p) {
			kept = append(kept, *p)
			continue
		}
		past.add(g.closed.ID)
		g.closed, settled = join(g.closed, *p, uncertainty), true
	}
	g.pending = kept
	return settled
}

// request restricts until it is decided. What it restricts can come back by a
// refusal of just this request.
func (g *gate) request(d Decision, past *memory, uncertainty Millis) effect {
	if g.knows(d.ID) || past.has(d.ID) {
		return duplicate
	}
	if len(g.pending) == maxPending {
		return g.close(d, past, uncertainty)
	}
	d.Decided = max(d.Decided, g.opened.Decided)
	g.pending = append(g.pending, d)
	return applied
}

// refuse lifts what the named request restricts, and nothing else. Who names a
// request has seen it, so neither clock nor place has a say.
func (g *gate) refuse(request uint64, review Millis, past *memory) effect {
	i := slices.IndexFunc(g.pending, func(p Decision) bool { return p.ID == request })
	switch {
	case i < 0 && past.has(request):
		return duplicate
	case i < 0:
		return superseded
	}
	past.add(request)
	g.pending, g.review = slices.Delete(g.pending, i, i+1), max(g.review, review)
	return applied
}

func (g *gate) knows(id uint64) bool {
	return g.closed.ID == id || slices.ContainsFunc(g.pending, func(p Decision) bool { return p.ID == id })
}

// permissionID shortens the identity of a permission: taking a new grant for a
// copy only denies, so 32 bits, with source and time, are enough.
func permissionID(id uint64) uint64 { return max(1, uint64(uint32(id))) }

// against judges permission d against a restriction. What it does not beat
// raises its bar.
func (d Decision) against(stop *Decision, uncertainty Millis) effect {
	if d.opens(*stop, uncertainty) {
		return none
	}
	return raise(stop, d, uncertainty)
}

// raise lifts the bar of a restriction so far that no copy of the permission d,
// which it has just beaten, can pass later. A copy has the same decision time,
// and counts at most from it.
func raise(stop *Decision, d Decision, uncertainty Millis) effect {
	if d.Source == stop.Source && d.Source != mixedSource {
		if d.Decided > stop.Decided {
			stop.Decided = d.Decided
			return barred
		}
		return superseded
	}
	if bar := d.Decided - uncertainty; bar > stop.stopTime() {
		stop.Appended = bar
		return barred
	}
	return superseded
}

// effect is what one event did to one gate, from the least to the most.
type effect uint8

const (
	none       effect = iota
	duplicate         // a copy, or a renewal of what is newer already
	superseded        // a permission that a restriction beats
	barred            // the same, and the bar rose: the state changed
	applied
)
