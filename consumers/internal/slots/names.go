package slots

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kelisim/kelisim/events"
)

// maxNameLen bounds names that teams choose: every key of a slot repeats them.
const maxNameLen = 64

// ErrName is the cause when a campaign, segment or partner cannot be called so.
var ErrName = errors.New("want 1 to 64 lower-case letters, digits or . _ -")

// IsName says whether teams may call a campaign, segment or partner so.
func IsName(text string) bool {
	return text != "" && len(text) <= maxNameLen && !strings.ContainsFunc(text, notNameRune)
}

func notNameRune(c rune) bool {
	return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-'
}

// Words returns names as plain text.
func Words[T ~string](names []T) []string {
	words := make([]string, len(names))
	for i, name := range names {
		words[i] = string(name)
	}
	return words
}

// Subjects reads the subjects in a script's reply. When some are no subjects,
// the others are returned with the error.
func Subjects(reply []any) ([]events.Subject, error) {
	subjects := make([]events.Subject, 0, len(reply))
	var wrong error
	for i, value := range reply {
		id, _ := value.(string)
		subject, err := events.ParseSubject(id)
		if err != nil {
			wrong = fmt.Errorf("script replied at place %d: %w", i, err)
			continue
		}
		subjects = append(subjects, subject)
	}
	return subjects, wrong
}

// Flags reads a reply of nothing but n zeros and ones.
func Flags(reply []any, n int) ([]bool, error) {
	if len(reply) != n {
		return nil, fmt.Errorf("script replied with %d values, want %d", len(reply), n)
	}
	flags := make([]bool, n)
	for i, value := range reply {
		flag, ok := value.(int64)
		if !ok || flag>>1 != 0 {
			return nil, fmt.Errorf("script replied with %T at place %d, want 0 or 1", value, i)
		}
		flags[i] = flag == 1
	}
	return flags, nil
}
