package recordbatch

import "encoding/binary"

// varint reads a zigzag varint as Kafka's records use it. It returns the value and the number of bytes
// read, 0 when b ends too early or the number does not fit 64 bits.
func varint(b []byte) (int64, int) {
	if len(b) > 0 && b[0] < 0x80 {
		return int64(b[0]>>1) ^ -int64(b[0]&1), 1
	}
	return longVarint(b)
}

// longVarint is the part of varint that is not worth inlining.
func longVarint(b []byte) (int64, int) {
	if len(b) > 1 && b[1] < 0x80 {
		u := uint64(b[0]&0x7f) | uint64(b[1])<<7
		return int64(u>>1) ^ -int64(u&1), 2
	}
	v, n := binary.Varint(b)
	if n < 0 {
		return 0, 0
	}
	return v, n
}

// varintSize is the number of bytes that appendVarint writes for v.
func varintSize(v int64) int {
	u := uint64(v)<<1 ^ uint64(v>>63)
	n := 1
	for u >= 0x80 {
		u >>= 7
		n++
	}
	return n
}

// sized reads a varint length and that many bytes. A negative length is null, as in Kafka's own reader.
// The rest is what follows; ok is false when the bytes are not there.
func sized(b []byte) (field, rest []byte, ok bool) {
	n, w := varint(b)
	if w == 0 {
		return nil, nil, false
	}
	b = b[w:]
	if n < 0 {
		return nil, b, true
	}
	if n > int64(len(b)) {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}

// appendSized writes a length and the bytes; nil is written as null, which is not the same as empty.
func appendSized(dst, field []byte) []byte {
	if field == nil {
		return binary.AppendVarint(dst, -1)
	}
	dst = binary.AppendVarint(dst, int64(len(field)))
	return append(dst, field...)
}
