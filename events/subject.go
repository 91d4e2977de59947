package events

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
)

// maxSubjectLen bounds a subject id, in bytes. It is a record key and a field
// name in every cache; 128 holds any UUID, ULID or prefixed id with room to spare.
const maxSubjectLen = 128

// ErrSubject is the cause when a text cannot be a subject id. The text itself
// is never part of the error: it may be the very personal data that is refused.
var ErrSubject = errors.New("not an opaque subject id: want 1 to 128 letters, digits or . _ : ~ -, with at least one letter")

// Subject is the opaque id of a person. It masks itself in every way of
// printing; [Subject.Reveal] is the one way to the raw id. But no method is
// asked for an unexported field, so whoever prints a struct that hides a Subject
// in one prints the raw id: print the Subject, never its holder. The zero
// Subject names nobody.
type Subject struct{ id string }

// ParseSubject returns the subject with the given id. It refuses what looks
// like personal data: an id without a letter (a telephone number, a national
// identity number) and one with characters of an e-mail address or a name.
func ParseSubject(id string) (Subject, error) {
	if len(id) == 0 || len(id) > maxSubjectLen {
		return Subject{}, ErrSubject
	}
	letter := false
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			letter = true
		case '0' <= c && c <= '9', c == '.', c == '_', c == ':', c == '~', c == '-':
		default:
			return Subject{}, ErrSubject
		}
	}
	if !letter {
		return Subject{}, ErrSubject
	}
	return Subject{id}, nil
}

// Reveal returns the raw id, for keys and for nothing that people read.
func (s Subject) Reveal() string { return s.id }

// IsZero says whether s names nobody.
func (s Subject) IsZero() bool { return s.id == "" }

// String returns the masked form: enough to tell two subjects of a log apart,
// too little to find either.
func (s Subject) String() string {
	if s.id == "" {
		return "subject(none)"
	}
	h := fnv.New32a()
	_, _ = io.WriteString(h, s.id)
	return fmt.Sprintf("subject(~%04x)", h.Sum32()&0xffff)
}

// Format implements [fmt.Formatter], so that no verb prints the raw id.
func (s Subject) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// GoString implements [fmt.GoStringer].
func (s Subject) GoString() string { return s.String() }

// LogValue implements [slog.LogValuer].
func (s Subject) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements [encoding.TextMarshaler] with the masked form: an
// encoder that meets a Subject by accident leaks nothing.
func (s Subject) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
