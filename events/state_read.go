package events

// reader takes a state's bytes apart. After a fault it yields zeros.
type reader struct {
	rest string
	bad  bool
}

func (r *reader) ok() bool { return !r.bad }

func (r *reader) take(n int) string {
	if n > len(r.rest) {
		r.bad, r.rest = true, ""
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *reader) fixed(n int) (v uint64) {
	s := r.take(n)
	for i := range len(s) {
		v = v<<8 | uint64(s[i])
	}
	return v
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.bad = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) uint32() uint32 { return uint32(r.fixed(4)) }
func (r *reader) uint64() uint64 { return r.fixed(8) }
func (r *reader) moment() Millis { return Millis(r.fixed(timeLen)) }

func (r *reader) uvarint() (v uint64) {
	if len(r.rest) > 0 && r.rest[0] < 0x80 { // nearly all are short
		v = uint64(r.rest[0])
		r.rest = r.rest[1:]
		return v
	}
	for shift := 0; shift < 64; shift += 7 {
		b := r.byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	r.bad = true
	return 0
}

func (r *reader) varint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (r *reader) count(limit int) int {
	n := r.uvarint()
	if n > uint64(limit) {
		r.bad = true
		return 0
	}
	return int(n)
}

func (r *reader) version() Version {
	offset := int64(r.fixed(offsetLen))
	if r.byte() != stateFormat {
		r.bad = true
	}
	return Version{Offset: offset, Generation: uint32(r.uvarint()), Partition: int32(r.uvarint())}
}

func (r *reader) decision(sources *[maxSources + 1]uint32, policies []policyRef, base Millis, last int64) Decision {
	head := r.byte()
	d := Decision{Source: sources[head>>1&maxSources]}
	if head&1 != 0 {
		d.ID = r.uint64()
	} else {
		d.ID = uint64(r.uint32())
		d.Policy = r.policy(head, policies)
	}
	d.Decided = base + Millis(r.uvarint())
	d.Appended = d.Decided + Millis(r.varint())
	d.Offset = last - int64(r.uvarint())
	if d.ID == 0 || uint64(d.Decided) > maxMoment || uint64(d.Appended) > maxMoment || d.Offset < beforeAll || d.Offset > last {
		r.bad = true // no decision is nobody's, and none lies outside of what can be stored
	}
	return d
}

// policy returns the version that a permission was given under: the first of the
// table, unless the head says that another one's number follows, or 0 for none.
func (r *reader) policy(head byte, policies []policyRef) policyRef {
	i := uint64(1)
	if head&otherPolicy != 0 {
		i = r.uvarint()
	}
	switch {
	case i == 0 || len(policies) == 0 && head&otherPolicy == 0:
		return noPolicy
	case i > uint64(len(policies)):
		r.bad = true
		return noPolicy
	}
	return policies[i-1]
}

// tail reads what few states have. To say that neither is there would be a second
// way to write the same state, whose digest would differ.
func (r *reader) tail(l *ledger) {
	for range r.count(maxMemory) {
		l.past = append(l.past, r.uint64())
	}
	acceptances := r.byte()
	if acceptances&hasAccepted != 0 {
		l.accepted = r.pick(l.table)
		if acceptances&hasExplicit != 0 {
			l.explicit = r.pick(l.table)
		}
	}
	r.bad = r.bad || len(l.past) == 0 && acceptances == 0
}

func (r *reader) pick(decisions []Decision) Decision {
	i := r.uvarint()
	if i >= uint64(len(decisions)) {
		r.bad = true
		return Decision{}
	}
	return decisions[i]
}
