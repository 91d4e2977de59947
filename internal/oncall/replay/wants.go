package replay

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cekafka/cesql"
	"github.com/kelisim/kelisim/events/stream"
)

// is says whether a subject may be selected.
func (s *Selection) is(who events.Subject) bool { return s.Subject.IsZero() || who == s.Subject }

// wants says whether a record of the range is selected, by whom its key says, and
// whom it names where it cannot be read; e is nil then. What such a record says of its
// source is believed.
func (s *Selection) wants(r *stream.Record, who, named events.Subject, e *events.Event) bool {
	switch {
	case !s.is(who) && !s.is(named):
		return false
	case len(s.Types) > 0 && (e == nil || !slices.Contains(s.Types, e.Type)):
		return false
	case len(s.Sources) > 0 && !slices.Contains(s.Sources, sourceOf(r, e)):
		return false
	}
	return s.Filter == nil || s.Filter.Match(r.Headers.All(), r.Value)
}

func sourceOf(r *stream.Record, e *events.Event) string {
	if e != nil {
		return e.Source
	}
	for key, value := range r.Headers.All() {
		if string(key) == "ce_source" {
			return string(value)
		}
	}
	return ""
}

// quoted are the strings of an expression; a quote behind a backslash ends none.
var quoted = regexp.MustCompile(`'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"`)

// ParseFilter reads a filter in CloudEvents SQL. One that looks at whom events are
// about is refused: the plan holds the text, and names nobody.
func ParseFilter(text string) (*cesql.Filter, error) {
	f, err := cesql.Parse(text)
	if err != nil {
		return nil, err
	}
	bare := strings.ToLower(quoted.ReplaceAllString(text, " "))
	for word := range strings.FieldsFuncSeq(bare, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }) {
		if word == "subject" || word == "partitionkey" {
			return nil, fmt.Errorf("it looks at %s, and a plan names nobody: select one by --subject", word)
		}
	}
	return f, nil
}
