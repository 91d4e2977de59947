package stream

import (
	"time"

	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

// Fetch is one answer of one broker: what it had of the partitions that it leads. A long poll that found
// nothing gives a Fetch too, with batches that hold no records: together with Sent it proves that nothing
// newer was there.
type Fetch struct {
	// Sent is when the request left, with a monotonic clock reading. Everything acknowledged to producers
	// before it is in Batches, or behind their Next when a batch is not CaughtUp.
	Sent time.Time
	// Batches are the partitions of the answer, each at most once.
	Batches []Batch

	frame   []byte // what Records point into
	scratch recordbatch.Scratch
	records []Record
	home    *fetcher

	fault error // instead of everything else: why a partition cannot be read
	about asked // the question that fault answers
}

// Release gives the memory back. The Fetch, its batches, and every record, key, value and header read
// from them must not be used afterwards. A second call does nothing.
func (f *Fetch) Release() {
	if home := f.home; home != nil {
		f.home = nil
		home.recycle(f)
	}
}

// Records counts the records of all batches.
func (f *Fetch) Records() int {
	n := 0
	for i := range f.Batches {
		n += len(f.Batches[i].Records)
	}
	return n
}

// cut points every batch at its part of the records, which have stopped moving.
func (f *Fetch) cut() {
	end := len(f.records)
	for i := len(f.Batches) - 1; i >= 0; i-- {
		b := &f.Batches[i]
		b.Records = f.records[b.first:end:end]
		end = b.first
	}
}

// empty gives a Fetch to fill, used or new.
func (f *fetcher) empty() *Fetch {
	x, ok := f.free.Get().(*Fetch)
	if !ok {
		x = new(Fetch)
	}
	x.home = f
	return x
}

// recycle keeps the memory of a released Fetch for the next answer, unless one oversized answer made it
// much larger than answers are.
func (f *fetcher) recycle(x *Fetch) {
	clear(x.Batches)
	if cap(x.frame) > 2*int(f.conf.MaxFetchBytes) || x.scratch.Size() > 2*f.conf.MaxUnpackedBytes {
		return
	}
	x.Batches, x.records, x.frame = x.Batches[:0], x.records[:0], x.frame[:0]
	x.scratch.Reset()
	f.free.Put(x)
}
