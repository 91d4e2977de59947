package recordbatch

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Header is one header of a record that is to be written. A nil Value is null on the wire.
type Header struct {
	Key   string
	Value []byte
}

// Bounds of what a body takes beside its bytes: three lengths in front of key, value and headers, and two
// per header, of at most five bytes each.
const (
	bodyOverhead   = 15
	headerOverhead = 10
)

// BodySize is an upper bound of what AppendBody writes, in bytes.
func BodySize(key, value []byte, headers []Header) int {
	n := bodyOverhead + len(key) + len(value)
	for i := range headers {
		n += headerOverhead + len(headers[i].Key) + len(headers[i].Value)
	}
	return n
}

// AppendBody writes key, value and headers behind dst as they will stand in a record: everything but what
// depends on the record's place in its batch. A producer writes bodies as messages come in, while their
// memory is at hand, and gathers them into batches by AddBody when it knows which go together.
func AppendBody(dst, key, value []byte, headers []Header) []byte {
	dst = appendSized(dst, key)
	dst = appendSized(dst, value)
	dst = binary.AppendVarint(dst, int64(len(headers)))
	for i := range headers {
		dst = binary.AppendVarint(dst, int64(len(headers[i].Key)))
		dst = append(dst, headers[i].Key...)
		dst = appendSized(dst, headers[i].Value)
	}
	return dst
}

// BodyKey is the key in a body that AppendBody wrote, as a view; nil when it is null.
func BodyKey(body []byte) []byte {
	key, _, _ := sized(body)
	return key
}

// AddBody is Add for a record whose key, value and headers AppendBody has written.
func (e *Encoder) AddBody(time int64, body []byte) error {
	if e.count == 0 {
		e.first, e.maxTime, e.lastDelta = time, time, -1
	}
	delta := e.lastDelta + 1
	size := int64(1 + varintSize(time-e.first) + varintSize(int64(delta)) + len(body))
	if e.count == maxRecords || int64(len(e.records))+size > math.MaxInt32-HeaderSize {
		return fmt.Errorf("add record: batch above %d bytes or records", math.MaxInt32)
	}
	e.records = binary.AppendVarint(e.records, size)
	e.records = append(e.records, 0) // attributes of a record: none defined
	e.records = binary.AppendVarint(e.records, time-e.first)
	e.records = binary.AppendVarint(e.records, int64(delta))
	e.records = append(e.records, body...)
	e.maxTime = max(e.maxTime, time)
	e.lastDelta = delta
	e.count++
	return nil
}
