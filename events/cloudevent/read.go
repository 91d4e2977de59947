package cloudevent

import (
	"encoding/binary"
	"unicode/utf8"
	"unsafe"

	"github.com/kelisim/kelisim/events/cekafka"
	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

// readBinary picks the attributes out of the headers, by the answers that
// package cekafka has decided on. The texts are views of the headers. With an error it
// has read up to the header at fault, and whom they name, wherever that stands.
func (a *attributes) readBinary(headers recordbatch.Headers) error {
	err := a.readHeaders(headers)
	for rest := headers; err != nil && !a.holds(subject) && rest.Len() > 0; {
		key, value := rest.Next()
		if name, ours := cekafka.AttributeName(view(key)); ours && name == subject.String() {
			a.set(subject, view(value))
		}
	}
	return err
}

func (a *attributes) readHeaders(headers recordbatch.Headers) error {
	ascii := isASCII(headers.Raw())
	count := 0
	for rest := headers; rest.Len() > 0; {
		seen := headers.Len() - rest.Len()
		key, value := rest.Next()
		s, known := slotOf(key)
		if !known {
			name, ours := cekafka.AttributeName(view(key))
			if !ours {
				continue
			}
			var err error
			if s, known, err = classify(headers, seen, key, name); err != nil {
				return err
			}
		}
		if count++; count > cekafka.MaxAttributes {
			return refuse(cekafka.TooManyAttributes, "")
		}
		if !ascii && !utf8.Valid(value) {
			return refuse(cekafka.BadUTF8, nameOf(s, known))
		}
		if !known {
			continue
		}
		if a.holds(s) {
			return refuse(cekafka.DuplicateAttribute, s.String())
		}
		a.set(s, view(value))
	}
	return nil
}

// classify is for a header that is not written as Kelisim writes it: another
// case, or an extension that it does not know. Of the unknown it makes sure
// that none before it, among the first seen headers, has the same name.
func classify(headers recordbatch.Headers, seen int, key []byte, name string) (slot, bool, error) {
	if len(key) == len(cekafka.ContentType) && name == "datacontenttype" {
		return dataContentType, true, nil
	}
	if !cekafka.ValidName(name) {
		return 0, false, refuse(cekafka.BadName, "extension")
	}
	if s, known := slotOf([]byte(cekafka.Prefix + name)); known {
		return s, true, nil
	}
	for ; seen > 0; seen-- {
		before, _ := headers.Next()
		if other, ours := cekafka.AttributeName(view(before)); ours && other == name {
			return 0, false, refuse(cekafka.DuplicateAttribute, "extension")
		}
	}
	return 0, false, nil
}

func nameOf(s slot, known bool) string {
	if known {
		return s.String()
	}
	return "extension"
}

// view is the bytes as a string, without a copy: valid and unchanged as long as
// they are.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// isASCII spares the look at every single value when there is nothing to find.
func isASCII(b []byte) bool {
	const high = 0x8080808080808080
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b)&high != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
