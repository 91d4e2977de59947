package consumers

import "github.com/kelisim/kelisim/events"

// index finds entries by subject: open addressing, at most two thirds full. Far
// behind, what a look-up costs is memory that is not in any cache: a slot is eight
// bytes, where Go's map would touch a group of two hundred and the subject's text
// besides. The collector finds no pointer in it.
type index struct {
	slots []slot
	used  int
}

// slot is part of a subject's hash, and the number of its entry; 0 is none.
type slot struct{ tag, number uint32 }

// firstSlots is how large an index is at first: a power of two.
const firstSlots = 1 << 6

// at returns the slot where a search begins.
func (x *index) at(tag uint32) slot {
	if x.used == 0 {
		return slot{}
	}
	return x.slots[tag&uint32(len(x.slots)-1)]
}

// find returns the subject's entry, or nil.
func (x *index) find(tag uint32, s events.Subject, in *pool) *entry {
	if x.used == 0 {
		return nil
	}
	mask := uint32(len(x.slots) - 1)
	for i := tag & mask; x.slots[i].number != 0; i = (i + 1) & mask {
		if x.slots[i].tag != tag {
			continue
		}
		if e := in.entry(x.slots[i].number); e.subject == s {
			return e
		}
	}
	return nil
}

// add puts in an entry whose subject is not there.
func (x *index) add(tag, number uint32) {
	if 3*x.used >= 2*len(x.slots) {
		x.grow()
	}
	x.used++
	x.put(slot{tag, number})
}

func (x *index) put(s slot) {
	mask := uint32(len(x.slots) - 1)
	i := s.tag & mask
	for x.slots[i].number != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = s
}

func (x *index) grow() {
	old := x.slots
	x.slots = make([]slot, max(firstSlots, 2*len(old)))
	for _, s := range old {
		if s.number != 0 {
			x.put(s)
		}
	}
}

// slab is how many entries are allocated at a time: one allocation instead of
// one per subject, and the collector walks fewer objects.
const slab = 256

// pool holds entries by number, counted from 1.
type pool struct {
	slabs [][]entry
	next  uint32   // the highest number in use
	free  []uint32 // numbers that are used again
}

func (p *pool) entry(number uint32) *entry {
	return &p.slabs[(number-1)/slab][(number-1)%slab]
}

// take returns an entry without content.
func (p *pool) take() *entry {
	if n := len(p.free); n > 0 {
		number := p.free[n-1]
		p.free = p.free[:n-1]
		e := p.entry(number)
		*e = entry{number: number}
		return e
	}
	if int(p.next) == slab*len(p.slabs) {
		p.slabs = append(p.slabs, make([]entry, slab))
	}
	p.next++
	e := p.entry(p.next)
	e.number = p.next
	return e
}

// give takes an entry back that nobody refers to.
func (p *pool) give(e *entry) {
	number := e.number
	*e = entry{} // its texts are garbage now
	p.free = append(p.free, number)
}
