package cache

import (
	"slices"

	"github.com/kelisim/kelisim/events"
)

// encoder builds the transactions of one batch and the arguments of write.lua. All
// texts of a batch are made at once and the arguments point at them: a pointer fits an
// interface where a string would be boxed, once per argument. It is used again for
// other batches, once the scripts were sent.
type encoder struct {
	batch   *Batch
	changes []Change // of the batch, in the order of writing
	holds   []Hold
	size    int // changes of one script
	scripts int
	prefix  string
	careful bool   // compare every version
	proved  string // in Redis' time, or ""
	attempt string
	bulk    bool // transactions write the states
	laid    int  // chunks that they wrote
	damaged bool // and something was not as it should be

	places places
	spare  []place  // for the places in another order
	order  []uint64 // bucket and place in the batch, of each change
	texts  []changeTexts
	runs   []byte // how many neighbours among a script's changes share a bucket
	args   []any  // of all scripts and transactions, one after the other
}

// changeTexts are the arguments of one change, besides its place.
type changeTexts struct{ state, score, member string }

const (
	// maxRun is how many changes of one bucket one command writes: their number is
	// one byte.
	maxRun = 255
	// keysBefore stand in front of the buckets: position, outbox and holds.
	keysBefore = 3
)

// neverSo, as the number of new subjects, has write.lua say that states were lost.
const neverSo = "-1"

// fixedArgs is what a script takes besides its changes and holds: the head of
// the command, three keys, and the fifteen arguments of write.lua with the
// two behind all others.
const fixedArgs = 3 + keysBefore + 15 + 2

// prepare finds the places of all changes, puts those of a wide batch in order, and
// makes their texts.
func (e *encoder) prepare(l Layout) {
	all := e.batch.Changes
	e.places.find(l, e.batch.Partition, len(all), func(i int) events.Subject { return all[i].Subject })
	e.changes = append(e.changes[:0], all...)
	if e.batch.Wide {
		e.sort()
	}
	changes := e.changes
	e.texts = slices.Grow(e.texts[:0], len(changes))
	e.runs = slices.Grow(e.runs[:0], len(changes)) // scripts point into it: it must not move
	for i := range changes {
		t := changeTexts{state: changes[i].State.Encoded(), member: changes[i].Subject.Reveal()}
		if changes[i].Act {
			t.score = itoa(changes[i].since())
		}
		e.texts = append(e.texts, t)
	}
	e.holds = e.holds[:0]
	for _, h := range e.batch.Holds {
		if !h.Subject.IsZero() {
			e.holds = append(e.holds, h)
		}
	}
	e.laid, e.damaged = 0, false
	e.scripts = max(1, (len(changes)+e.size-1)/e.size, (len(e.holds)+e.size-1)/e.size)
	each := 3 // bucket, field and state
	if e.bulk {
		each = 6 // with the name of the command, and an entry of the outbox
	}
	e.args = slices.Grow(e.args, e.scripts*fixedArgs+each*len(changes)+3*len(e.holds))
}

// sort puts changes and places into the order of buckets, so that those of one
// bucket are written by one command: a window that covers much of the log then
// costs Redis less (docs/decisions/0003).
func (e *encoder) sort() {
	e.order = slices.Grow(e.order[:0], len(e.changes))
	for i := range e.places.list {
		e.order = append(e.order, uint64(e.places.list[i].number)<<32|uint64(i))
	}
	slices.Sort(e.order)
	sorted := slices.Grow(e.spare[:0], len(e.order))
	for n, o := range e.order {
		sorted = append(sorted, e.places.list[uint32(o)])
		e.changes[n] = e.batch.Changes[uint32(o)]
	}
	e.places.list, e.spare = sorted, e.places.list
}

// forget drops what the arguments point at, so that nothing is kept alive by an
// encoder that waits for its next batch.
func (e *encoder) forget() {
	clear(e.texts)
	clear(e.args)
	clear(e.places.list)
	clear(e.spare)
	clear(e.changes)
	clear(e.holds)
	e.batch, e.args = nil, e.args[:0]
}

// script returns the arguments of the k-th script and how many of them are keys.
// They stand behind those of the scripts before; when the room for all of them has
// to grow, the earlier ones stay where they are.
func (e *encoder) script(k int) (keys int, _ []any) {
	first, last := min(k*e.size, len(e.changes)), k == e.scripts-1
	changes, holds := slice(e.changes, k, e.size), slice(e.holds, k, e.size)
	texts, places := e.texts[first:], e.places.list[first:]
	begin := len(e.args)
	args := append(e.args, nil, nil, nil, e.prefix+positionName, e.prefix+outboxName, e.prefix+heldName)
	runs := e.runs[len(e.runs):]
	for i := range changes {
		if last := len(runs) - 1; i > 0 && places[i].number == places[i-1].number && runs[last] < maxRun {
			runs[last]++
			continue
		}
		runs, args = append(runs, 1), append(args, &places[i].bucket)
	}
	e.runs = append(e.runs, runs...)
	keys = keysBefore + len(runs)
	sum := e.sum(changes)
	b, unseen := e.batch, itoa(int64(sum.unseen))
	if e.damaged {
		unseen = neverSo
	}
	args = append(args, itoa(b.Epoch), itoa(b.From), itoa(b.To), e.attempt, itoa(int64(e.laid+k)), flag(last),
		itoa(int64(sum.digest)), e.proved, itoa(b.Receipted), unseen,
		itoa(int64(len(changes))), sum.proofs, itoa(int64(sum.act)), itoa(int64(len(holds))), runs)
	for i := range changes {
		args = append(args, &places[i].field, &texts[i].state)
	}
	for i := range changes {
		if changes[i].Act {
			args = append(args, &texts[i].score, &texts[i].member)
		}
	}
	for _, h := range holds {
		args = append(args, flag(h.Release), h.Subject.Reveal(), h.At.String())
	}
	args = append(args, b.Policy, stageText(b.Stage))
	e.args = args
	return keys, args[begin:len(args):len(args)]
}

// sums are what a script is told about its changes as a whole.
type sums struct {
	digest      Digest // what they add
	unseen, act int    // how many are of new subjects, and go into the outbox
	proofs      []byte // what the careful way needs
}

func (e *encoder) sum(changes []Change) (s sums) {
	if e.careful {
		s.proofs = make([]byte, 0, proofLen*len(changes))
	}
	for i := range changes {
		c := &changes[i]
		delta := Digest(0).Swap(c.Subject, c.Prev, c.State)
		s.digest = (s.digest + delta) & digestMask
		if c.Prev.IsZero() {
			s.unseen++
		}
		if c.Act {
			s.act++
		}
		if e.careful {
			s.proofs = appendProof(s.proofs, c, delta)
		}
	}
	return s
}

// proofLen is what the careful way needs of a change: the version it was folded
// from, what it adds to the digest, and whether it goes into the outbox.
const proofLen = 2*versionLen + 1

func appendProof(to []byte, c *Change, delta Digest) []byte {
	if prev := version(c.Prev); prev != "" {
		to = append(to, prev...)
	} else {
		to = append(to, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	}
	for shift := 40; shift >= 0; shift -= 8 {
		to = append(to, byte(delta>>shift))
	}
	if c.Act {
		return append(to, '1')
	}
	return append(to, '0')
}
