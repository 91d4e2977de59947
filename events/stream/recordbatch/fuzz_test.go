package recordbatch

import (
	"testing"
)

// FuzzDecode reads anything as a record set, also with the CRC made right so that the fuzzer gets behind
// it. Whatever comes in: no panic, the position never goes back, records stand in rising order inside the
// bounds, and memory stays within the limits.
func FuzzDecode(f *testing.F) {
	const limit = 64 << 10
	f.Add([]byte{}, int64(0), false)
	f.Add([]byte("not a batch at all, only text that is long enough to hold a header of 61 bytes"), int64(0), false)
	for _, codec := range everyCodec {
		f.Add(craft(f, Info{Codec: codec}, kv{0, "a", "1"}, kv{2, "b", "2"}), int64(1), true)
	}
	f.Add(join(craft(f, Info{LastOffsetDelta: 9}), craft(f, Info{BaseOffset: 10, LastOffsetDelta: 3})), int64(5), false)
	f.Add(join(craft(f, Info{Transactional: true, Producer: &Producer{ID: 1}}, kv{0, "a", "1"}), marker(f, 1, 1, 0)), int64(0), false)
	f.Add(craft(f, Info{AppendTime: 5}, kv{0, "", ""})[:50], int64(0), false)
	f.Fuzz(func(t *testing.T, set []byte, from int64, sign bool) {
		if sign && len(set) >= HeaderSize {
			resign(set)
		}
		s := new(Scratch)
		records, result, err := NewDecoder(limit, limit).Append(nil,
			Set{Bytes: set, From: from, Aborted: []Aborted{{1, 0}, {2, 5}}}, s)
		if result.Next < from {
			t.Fatalf("position went back from %d to %d", from, result.Next)
		}
		last := from - 1
		for _, r := range records {
			if r.Offset <= last || r.Offset >= result.Next {
				t.Fatalf("record at %d after %d, next is %d", r.Offset, last, result.Next)
			}
			last = r.Offset
			n := r.Headers.Len()
			for range r.Headers.All() {
				n--
			}
			if n != 0 {
				t.Fatalf("header count off by %d", n)
			}
		}
		if max := 4 * (2*limit + minWindow); s.Size() > max {
			t.Fatalf("scratch of %d bytes", s.Size())
		}
		if err != nil && err.Error() == "" {
			t.Fatal("error without words")
		}
	})
}

func FuzzHeaders(f *testing.F) {
	f.Add(Headers{}.Append("a", nil).Append("b", []byte("c")).Raw(), 2)
	f.Add([]byte{1, 1}, 1)
	f.Fuzz(func(t *testing.T, raw []byte, n int) {
		h, err := ParseHeaders(raw, n)
		if err != nil {
			return
		}
		var again Headers
		for k, v := range h.All() {
			again = again.Append(string(k), v)
		}
		if again.Len() != n {
			t.Fatalf("%d headers read of %d", again.Len(), n)
		}
	})
}
