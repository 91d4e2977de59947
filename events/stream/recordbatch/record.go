package recordbatch

import "math"

// Record is one record of a partition, as views into the bytes that were decoded: it is valid as long as
// they are (in package stream: until the Fetch is released). Copy what has to live longer.
type Record struct {
	// Partition is the number given with the Set; a batch does not know it.
	Partition int32
	// LogAppend tells that Time is the broker's append time and not the producer's own.
	LogAppend bool
	// Offset is the position in the partition.
	Offset int64
	// Time is in milliseconds since 1970: the append time on a LogAppendTime topic, else what the
	// producer said.
	Time int64
	// Key and Value are nil when null on the wire; an empty field is not nil.
	Key, Value []byte
	// Headers are all headers in order, duplicates included.
	Headers Headers
}

// appendRecords reads the count records of one batch behind dst, leaving out those before from. The
// header and the records belong together and have passed the CRC; that does not make them well formed.
func appendRecords(dst []Record, h *header, records []byte, partition int32, from int64) ([]Record, error) {
	start, last := len(dst), int64(-1)
	for i := range h.count {
		length, w := varint(records)
		if w == 0 || length < 0 || length > int64(len(records)-w) {
			return dst[:start], corrupt("record %d of %d does not fit the batch", i, h.count)
		}
		body := records[w : w+int(length)]
		records = records[w+int(length):]

		var r Record
		delta, ok := parseRecord(&r, body, h.firstTimestamp)
		if !ok {
			return dst[:start], corrupt("record %d of %d is malformed", i, h.count)
		}
		if delta <= last || delta > int64(h.lastOffsetDelta) {
			return dst[:start], corrupt("record %d of %d has offset delta %d after %d, last is %d",
				i, h.count, delta, last, h.lastOffsetDelta)
		}
		last = delta
		if r.Offset = h.baseOffset + delta; r.Offset < from {
			continue
		}
		r.Partition = partition
		if h.appendTime() {
			r.Time, r.LogAppend = h.maxTimestamp, true
		}
		dst = append(dst, r)
	}
	if len(records) != 0 {
		return dst[:start], corrupt("%d bytes behind the last record", len(records))
	}
	return dst, nil
}

// parseRecord reads the body of one record: everything behind its length. It returns the offset delta.
func parseRecord(r *Record, b []byte, firstTimestamp int64) (delta int64, ok bool) {
	if len(b) == 0 {
		return 0, false
	}
	b = b[1:] // attributes of a record: none defined
	timeDelta, w := varint(b)
	if w == 0 {
		return 0, false
	}
	b = b[w:]
	delta, w = varint(b)
	if w == 0 {
		return 0, false
	}
	if r.Key, b, ok = sized(b[w:]); !ok {
		return 0, false
	}
	if r.Value, b, ok = sized(b); !ok {
		return 0, false
	}
	n, w := varint(b)
	if w == 0 || n < 0 || n > math.MaxInt32 {
		return 0, false
	}
	b = b[w:]
	if n > int64(len(b)) || !checkHeaders(b, int(n)) {
		return 0, false
	}
	r.Headers = Headers{raw: b, n: int(n)}
	r.Time = firstTimestamp + timeDelta
	return delta, true
}
