package stream

import "encoding/binary"

// wireReader reads the primitive types of Kafka's protocol. After the first field that is not there
// everything reads as zero and bad stays set, so that a caller checks once, at the end.
type wireReader struct {
	b   []byte
	bad bool
}

func (r *wireReader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.b, r.bad = nil, true
		return nil
	}
	field := r.b[:n:n]
	r.b = r.b[n:]
	return field
}

func (r *wireReader) int16() int16 {
	if b := r.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *wireReader) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *wireReader) int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// string reads a string as a view.
func (r *wireReader) string() []byte { return r.take(int(r.int16())) }

// bytes reads nullable bytes as a view.
func (r *wireReader) bytes() []byte {
	n := r.int32()
	if n < 0 {
		return nil
	}
	return r.take(int(n))
}

// array reads the length of a nullable array whose elements take at least size bytes: a length that the
// bytes left cannot hold is refused before anybody makes room for it.
func (r *wireReader) array(size int) int {
	n := r.int32()
	if n < 0 {
		return 0
	}
	if int64(n)*int64(size) > int64(len(r.b)) {
		r.b, r.bad = nil, true
		return 0
	}
	return int(n)
}
