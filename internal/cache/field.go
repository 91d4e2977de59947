package cache

import (
	"encoding/hex"

	"github.com/kelisim/kelisim/events"
)

// uuidField stands in front of the sixteen bytes of a UUID in a field name. No
// subject id contains it, so no other field looks like one.
const uuidField = '#'

// uuidLen is the length of a UUID as text, 8-4-4-4-12.
const uuidLen = 36

// appendField appends the name of the subject's field in its bucket: the id,
// or for a lower-case UUID "#" and its sixteen bytes, which saves 19 of the 150
// bytes that a subject may cost.
func appendField(to []byte, s events.Subject) []byte {
	id := s.Reveal()
	if raw, ok := parseUUID(id); ok {
		return append(append(to, uuidField), raw[:]...)
	}
	return append(to, id...)
}

// subjectOf returns the subject of a field.
func subjectOf(field string) (events.Subject, error) {
	if len(field) != 17 || field[0] != uuidField {
		return events.ParseSubject(field)
	}
	text := make([]byte, 0, uuidLen)
	for i, part := range [...][2]int{{1, 5}, {5, 7}, {7, 9}, {9, 11}, {11, 17}} {
		if i > 0 {
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, []byte(field[part[0]:part[1]]))
	}
	return events.ParseSubject(string(text))
}

// parseUUID reads a UUID in its canonical lower-case form, and no other: a
// subject in capitals is another subject.
func parseUUID(id string) (raw [16]byte, ok bool) {
	if len(id) != uuidLen || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return raw, false
	}
	n := 0
	for i := 0; i < uuidLen; i++ {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			continue
		}
		high, low := nibble(id[i]), nibble(id[i+1])
		if high > 0xf || low > 0xf {
			return raw, false
		}
		raw[n] = high<<4 | low
		n++
		i++
	}
	return raw, true
}

// nibble returns the value of a lower-case hexadecimal digit, or more than 15.
func nibble(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}
