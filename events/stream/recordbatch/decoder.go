package recordbatch

import (
	"encoding/binary"
	"hash/crc32"
	"math"
)

// Decoder reads the record sets of fetch responses. It keeps its codecs and lists for the next set and is
// not safe for concurrent use.
type Decoder struct {
	maxTotal int
	codecs   decompressor
	aborted  abortedFilter
}

// NewDecoder makes a Decoder. maxBatch limits what one batch may decompress to, in bytes; maxTotal what
// the batches that share one Scratch may: a set that reaches it is cut, and read on from there next time.
func NewDecoder(maxBatch, maxTotal int) *Decoder {
	return &Decoder{maxTotal: maxTotal, codecs: decompressor{limit: maxBatch}}
}

// Set is what a fetch response holds of one partition.
type Set struct {
	// Bytes are record batches one behind the other; the last one may be cut off.
	Bytes []byte
	// Partition is written into every record.
	Partition int32
	// From is the first offset wanted: a batch is sent whole, so it may begin earlier.
	From int64
	// Aborted are the transactions to leave out, from a read-committed response; nil for none.
	Aborted []Aborted
}

// Scratch holds the decompressed bytes that records point into. The zero value is ready; Reset makes the
// memory free for the next response, once nobody uses the records any more.
type Scratch struct {
	buf []byte
}

// Reset forgets what was decompressed and keeps the memory.
func (s *Scratch) Reset() { s.buf = s.buf[:0] }

// Size is the memory held, in bytes.
func (s *Scratch) Size() int { return cap(s.buf) }

// Result is how far a set was read.
type Result struct {
	// Next is the offset to read from next: behind the last batch that was read, records or not.
	Next int64
	// Missing is 0, or the size of the batch that was cut off at the end of the set as far as known. When
	// Next is still Set.From, a fetch of at least this size is needed to get any further.
	Missing int
	// Full tells that reading stopped early because the Scratch reached its limit.
	Full bool
}

// Append reads the set and appends its records to dst. It never skips what it cannot read: on an error
// (a *BatchError) the records in front of the broken batch are returned, Next is where it begins, and the
// caller decides. Records are views of set.Bytes and of s.
func (d *Decoder) Append(dst []Record, set Set, s *Scratch) ([]Record, Result, error) {
	res := Result{Next: set.From}
	d.aborted.reset(set.Aborted)
	floor := int64(0) // batches rise; anything else could lead round in a circle
	for b := set.Bytes; len(b) > 0; {
		size, err := batchSize(b)
		if err != nil {
			return dst, res, failed(b, unknownLastOffset, err)
		}
		if size == 0 || size > len(b) {
			res.Missing = max(size, HeaderSize)
			return dst, res, nil
		}
		h, err := checkBatch(b[:size], floor)
		if err != nil {
			return dst, res, failed(b[:size], unknownLastOffset, err)
		}
		if len(s.buf) > 0 && len(s.buf) >= d.maxTotal {
			res.Full = true
			return dst, res, nil
		}
		if dst, err = d.appendBatch(dst, &h, b[HeaderSize:size], set, s); err != nil {
			return dst, res, failed(b[:size], h.lastOffset(), err)
		}
		floor = h.lastOffset() + 1
		res.Next = max(res.Next, floor)
		b = b[size:]
	}
	return dst, res, nil
}

// appendBatch reads the records of one checked batch unless they are none of the caller's business.
func (d *Decoder) appendBatch(dst []Record, h *header, records []byte, set Set, s *Scratch) ([]Record, error) {
	if d.aborted.drop(h, records) || h.control() || h.count == 0 || h.lastOffset() < set.From {
		return dst, nil
	}
	if codec := h.codec(); codec != None {
		start := len(s.buf)
		buf, err := d.codecs.append(s.buf, codec, records)
		if err != nil {
			return dst, err
		}
		s.buf = buf
		records = buf[start:len(buf):len(buf)]
	}
	if int64(h.count)*minRecordSize > int64(len(records)) {
		return dst, corrupt("%d records in %d bytes", h.count, len(records))
	}
	return appendRecords(dst, h, records, set.Partition, set.From)
}

// batchSize reads how long the batch at the beginning of b is; 0 when not even that is there. The format
// is looked at first, because nothing else means the same in older ones.
func batchSize(b []byte) (int, error) {
	if len(b) > atMagic {
		if magic := int8(b[atMagic]); magic >= 0 && magic < magic2 {
			return 0, ErrFormat
		} else if magic != magic2 {
			return 0, corrupt("magic %d", magic)
		}
	}
	if len(b) < lengthPrefix {
		return 0, nil
	}
	n := int32(binary.BigEndian.Uint32(b[atBatchLength:]))
	if n < HeaderSize-lengthPrefix || n > math.MaxInt32-lengthPrefix {
		return 0, corrupt("batch length %d", n)
	}
	return int(n) + lengthPrefix, nil
}

// checkBatch reads the header of a whole batch and checks what the rest relies on.
func checkBatch(b []byte, floor int64) (header, error) {
	want := binary.BigEndian.Uint32(b[atCRC:])
	if got := crc32.Checksum(b[atAttributes:], castagnoli); got != want {
		return header{}, corrupt("crc %08x where %08x is written", got, want)
	}
	h := readHeader(b)
	switch {
	case h.baseOffset < floor:
		return header{}, corrupt("base offset %d where at least %d must follow", h.baseOffset, floor)
	case h.lastOffsetDelta < 0, h.baseOffset > math.MaxInt64-math.MaxInt32-1:
		return header{}, corrupt("base offset %d, last offset delta %d", h.baseOffset, h.lastOffsetDelta)
	case h.count < 0, int64(h.count) > int64(h.lastOffsetDelta)+1:
		return header{}, corrupt("%d records for %d offsets", h.count, int64(h.lastOffsetDelta)+1)
	case h.codec() > Zstd:
		return header{}, corrupt("unknown %v", h.codec())
	}
	return h, nil
}

// failed names the batch at the beginning of raw.
func failed(raw []byte, last int64, err error) error {
	first := int64(0)
	if len(raw) >= atBatchLength {
		first = int64(binary.BigEndian.Uint64(raw[atBaseOffset:]))
	}
	return &BatchError{First: first, Last: last, Raw: raw, Err: err}
}
