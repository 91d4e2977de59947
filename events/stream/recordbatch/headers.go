package recordbatch

import (
	"encoding/binary"
	"iter"
)

// Headers are the headers of one record, in their encoded form and order, duplicates included. The zero
// value is no headers. It is a view: it is valid as long as the bytes it was read from.
//
// Headers of a decoded record have been checked, so walking them cannot fail:
//
//	for h := r.Headers; h.Len() > 0; {
//		key, value := h.Next()
//	}
type Headers struct {
	raw []byte
	n   int
}

// Len is the number of headers that Next has not yet returned.
func (h Headers) Len() int { return h.n }

// Next takes the first header off and returns views of its key and value; a null value is nil, an empty
// one is not. It returns nil, nil when none is left.
func (h *Headers) Next() (key, value []byte) {
	raw := h.raw
	if len(raw) == 0 || raw[0]&longOrNull != 0 {
		return h.nextLong()
	}
	k := 1 + int(raw[0]>>1)
	if k >= len(raw) || raw[k]&longOrNull != 0 {
		return h.nextLong()
	}
	v := k + 1 + int(raw[k]>>1)
	if v > len(raw) || h.n == 0 {
		return h.nextLong()
	}
	h.raw, h.n = raw[v:], h.n-1
	return raw[1:k:k], raw[k+1 : v : v]
}

// longOrNull are the bits of a length's first byte by which it is not a plain length below 64, as nearly
// all are: more bytes follow, or it is negative.
const longOrNull = 0x81

// nextLong is Next for any lengths.
func (h *Headers) nextLong() (key, value []byte) {
	if h.n == 0 {
		return nil, nil
	}
	key, rest, keyOK := sized(h.raw)
	value, rest, valueOK := sized(rest)
	if !keyOK || !valueOK { // only a Headers that was not checked: an end instead of a panic
		*h = Headers{}
		return nil, nil
	}
	h.raw, h.n = rest, h.n-1
	return key, value
}

// All ranges over the headers without changing h.
func (h Headers) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		for h.n > 0 {
			if !yield(h.Next()) {
				return
			}
		}
	}
}

// Raw is the encoded form without the count: key length, key, value length, value, and so on.
func (h Headers) Raw() []byte { return h.raw }

// Append adds a header behind the others, growing the encoded form like append does, and returns the
// result. A nil value is written as null.
func (h Headers) Append(key string, value []byte) Headers {
	h.raw = binary.AppendVarint(h.raw, int64(len(key)))
	h.raw = append(h.raw, key...)
	h.raw = appendSized(h.raw, value)
	h.n++
	return h
}

// Truncate gives empty headers that write over the same memory, for a caller that builds record after
// record.
func (h Headers) Truncate() Headers { return Headers{raw: h.raw[:0]} }

// ParseHeaders checks that raw holds exactly n headers and gives them as a view. The error wraps
// ErrCorrupt.
func ParseHeaders(raw []byte, n int) (Headers, error) {
	if n < 0 || n > len(raw) { // a header takes two bytes at least
		return Headers{}, corrupt("%d headers in %d bytes", n, len(raw))
	}
	if !checkHeaders(raw, n) {
		return Headers{}, corrupt("headers do not end where the record does")
	}
	return Headers{raw: raw, n: n}, nil
}

// checkHeaders tells whether raw is exactly n headers, each with a key.
func checkHeaders(raw []byte, n int) bool {
	for range n {
		length, w := varint(raw)
		if w == 0 || length < 0 || length > int64(len(raw)-w) {
			return false
		}
		_, rest, ok := sized(raw[w+int(length):])
		if !ok {
			return false
		}
		raw = rest
	}
	return len(raw) == 0
}
