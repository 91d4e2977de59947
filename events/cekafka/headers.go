package cekafka

import (
	"strings"
	"unicode/utf8"

	"github.com/segmentio/kafka-go"
)

// The names of the binding. Attributes stand in headers named Prefix and the
// attribute's name, datacontenttype in ContentType.
const (
	Prefix      = "ce_"
	ContentType = "content-type"
)

// MaxAttributes bounds the attributes of one event, so that looking for
// duplicates in a hostile record costs little. The largest set of extensions
// documented by the CloudEvents project, all at once, is below 40.
const MaxAttributes = 64

const structuredPrefix = "application/cloudevents"

// IsStructured says whether a content-type header announces structured mode.
// Which event format, and whether it is known, is another question.
func IsStructured(contentType string) bool {
	return len(contentType) >= len(structuredPrefix) && equalFold(contentType[:len(structuredPrefix)], structuredPrefix)
}

// attribute is one header of the event: the attribute's name in lower case.
type attribute struct {
	name  string
	value []byte
}

// attributes picks the event's own headers out of all. content-type comes
// under the name "datacontenttype".
func attributes(headers []kafka.Header) ([]attribute, error) {
	attrs := make([]attribute, 0, len(headers))
	dct := -1 // where ce_datacontenttype is among attrs
	ct := -1  // where content-type is
	for _, h := range headers {
		name, isAttribute := AttributeName(h.Key)
		if !isAttribute {
			continue
		}
		if len(attrs) == MaxAttributes {
			return nil, malformed(TooManyAttributes, "")
		}
		slot := find(attrs, name)
		isType := equalFold(h.Key, ContentType)
		switch {
		case name == "datacontenttype" && isType:
			slot, ct = ct, len(attrs)
		case name == "datacontenttype":
			slot, dct = dct, len(attrs)
		case !ValidName(name):
			return nil, malformed(BadName, name)
		}
		if slot >= 0 {
			return nil, malformed(DuplicateAttribute, name)
		}
		if !utf8.Valid(h.Value) {
			return nil, malformed(BadUTF8, name)
		}
		attrs = append(attrs, attribute{name, h.Value})
	}
	if ct < 0 || dct < 0 {
		return attrs, nil
	}
	if string(attrs[ct].value) != string(attrs[dct].value) {
		return nil, malformed(ContentTypeConflict, "datacontenttype")
	}
	return append(attrs[:dct], attrs[dct+1:]...), nil
}

// AttributeName returns the attribute that a header holds, in lower case, and
// whether the header is one of the event's at all.
func AttributeName(header string) (string, bool) {
	switch {
	case len(header) >= len(Prefix) && equalFold(header[:len(Prefix)], Prefix):
		return lower(header[len(Prefix):]), true
	case equalFold(header, ContentType):
		return "datacontenttype", true
	}
	return "", false
}

// contentType returns the value of the one content-type header.
func contentType(headers []kafka.Header) (value []byte, err error) {
	found := false
	for _, h := range headers {
		if !equalFold(h.Key, ContentType) {
			continue
		}
		if found {
			return nil, malformed(DuplicateAttribute, "datacontenttype")
		}
		value, found = h.Value, true
	}
	return value, nil
}

func find(attrs []attribute, name string) int {
	for i := range attrs {
		if attrs[i].name == name {
			return i
		}
	}
	return -1
}

// ValidName holds the name of an attribute to the CloudEvents rule: lower-case letters and digits.
// "data" is the event's data and cannot be an attribute.
func ValidName(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return name != "" && name != "data"
}

// lower and equalFold know ASCII alone: by Unicode's rules the Kelvin sign
// would pass for a k.
func lower(s string) string {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			return strings.Map(func(r rune) rune {
				if 'A' <= r && r <= 'Z' {
					return r + 'a' - 'A'
				}
				return r
			}, s)
		}
	}
	return s
}

func equalFold(s, lowered string) bool {
	if len(s) != len(lowered) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lowered[i] {
			return false
		}
	}
	return true
}
