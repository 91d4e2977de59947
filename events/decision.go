package events

// Decision is what the order rule keeps of an event: who decided, when, and
// where in the log. The zero Decision is none.
type Decision struct {
	Source   uint32    // hash of the CloudEvents source; mixedSource when several were joined
	ID       uint64    // hash of source and id: copies have the same. 0 only when there is none
	Offset   int64     // place in the log of the state's partition
	Decided  Millis    // by the source's clock
	Appended Millis    // by the broker's clock
	Policy   policyRef // of a grant or an acceptance: its policy version; else noPolicy
}

const (
	mixedSource = 0  // several sources were joined: none of their clocks may judge alone
	beforeAll   = -1 // a place before every record of the log
)

func (d *Decision) isZero() bool { return d.ID == 0 }

// grantTime is when a permission counts from: the earlier of its two times, so
// a clock that runs ahead gains nothing.
func (d Decision) grantTime() Millis { return min(d.Decided, d.Appended) }

// stopTime is when a restriction counts from: the later of its two times.
func (d Decision) stopTime() Millis { return max(d.Decided, d.Appended) }

// opens says whether permission d beats restriction stop: both keys, after it
// in the log and decided after it (DESIGN 3).
func (d Decision) opens(stop Decision, uncertainty Millis) bool {
	switch {
	case stop.isZero():
		return true
	case d.Offset <= stop.Offset:
		return false
	case d.Source == stop.Source && d.Source != mixedSource:
		return d.Decided > stop.Decided
	}
	return d.grantTime() > stop.stopTime()+uncertainty
}

// join returns one restriction that is beaten only by what beats both a and
// the newer b. Usually b alone is; when neither covers the other, the result
// has no source of its own, so that only both clocks together can open it.
func join(a, b Decision, uncertainty Millis) Decision {
	switch {
	case a.isZero():
		return b
	case b.isZero():
		return a
	case a.Source == b.Source && a.Source != mixedSource:
		b.Decided, b.Appended = max(a.Decided, b.Decided), max(a.Appended, b.Appended)
	case b.Source == mixedSource || b.grantTime() <= a.stopTime()+uncertainty:
		stop := max(a.stopTime(), b.stopTime())
		b.Source, b.Decided, b.Appended = mixedSource, stop, stop
	}
	b.Offset = max(a.Offset, b.Offset)
	return b
}

// FNV-1a (draft-eastlake-fnv): small, in order with the bytes as they stand in
// the record, without allocation.
const (
	fnvOffset64 = 14695981039346656037
	fnvPrime64  = 1099511628211
)

func fnv64(h uint64, text string) uint64 {
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * fnvPrime64
	}
	return h
}

// hash32 folds a source to 32 bits, never to mixedSource.
func hash32(source string) uint32 {
	h := fnv64(fnvOffset64, source)
	if folded := uint32(h>>32) ^ uint32(h); folded != mixedSource {
		return folded
	}
	return 1
}

// atMoment makes the moment of a decision part of its identity. A copy has it
// too; a source that uses an id again for another decision has not, and must not
// lose a withdrawal by that.
func atMoment(id uint64, decided Millis) uint64 {
	for shift := 0; shift < 64; shift += 8 {
		id = (id ^ uint64(decided)>>shift&0xff) * fnvPrime64
	}
	return max(1, id)
}

// identity is the hash by which copies are known. 64 bits, because taking a new
// withdrawal for a copy would lose it: one in 10^19 for each that is remembered.
func identity(source, id string) uint64 {
	return max(1, fnv64(fnv64(fnvOffset64, source)*fnvPrime64, id))
}
