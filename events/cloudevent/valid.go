package cloudevent

import (
	"mime"
	"net/url"
	"strings"

	"github.com/kelisim/kelisim/events/cekafka"
)

// validate holds the attributes to CloudEvents 1.0, as the SDK does: text is
// trimmed where it trims, and an empty optional attribute is none.
func (a *attributes) validate() error {
	switch version := a.text[specVersion]; {
	case !a.holds(specVersion):
		return refuse(cekafka.NoSpecVersion, "")
	case version != "1.0":
		return refuse(cekafka.SpecVersion, "specversion")
	}
	if a.holds(ceContentType) {
		if a.holds(dataContentType) && a.text[dataContentType] != a.text[ceContentType] {
			return refuse(cekafka.ContentTypeConflict, "datacontenttype")
		}
		a.set(dataContentType, a.text[ceContentType])
	}
	const required mask = 1<<id | 1<<source | 1<<eventType
	if missing := required &^ a.has; missing != 0 {
		return refuse(MissingAttribute, missing.String())
	}
	if a.trim(id) == "" {
		return refuse(cekafka.BadValue, "id")
	}
	if a.trim(eventType) == "" {
		return refuse(cekafka.BadValue, "type")
	}
	if !a.validSource() {
		return refuse(cekafka.BadValue, "source")
	}
	return a.validateOptional()
}

// validateOptional: what may be missing, and is when it is empty.
func (a *attributes) validateOptional() error {
	for _, s := range [...]slot{subject, dataContentType, dataSchema} {
		if a.trim(s) == "" {
			a.drop(s)
		}
	}
	if !isMediaType(a.text[dataContentType]) {
		return refuse(cekafka.BadValue, "datacontenttype")
	}
	if !isAbsolute(a.text[dataSchema]) {
		return refuse(cekafka.BadValue, "dataschema")
	}
	if !a.holds(eventTime) {
		return nil
	}
	var ok bool
	if a.moment, ok = parseTime(a.text[eventTime]); !ok {
		return refuse(cekafka.BadValue, "time")
	}
	if a.moment.zero {
		a.drop(eventTime)
	}
	return nil
}

// trim cuts white space off a text and returns what is left.
func (a *attributes) trim(s slot) string {
	text := a.text[s]
	if n := len(text); n > 0 && (text[0] <= ' ' || text[0] >= 0x80 || text[n-1] <= ' ' || text[n-1] >= 0x80) {
		text = strings.TrimSpace(text)
		a.text[s] = text
	}
	return text
}

// validSource accepts URI references and leaves them in the form that
// [url.URL.String] gives them. Nearly all are in it already and cost nothing.
func (a *attributes) validSource() bool {
	text := a.text[source]
	if isPlainReference(text) {
		return true
	}
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	a.text[source] = u.String()
	return strings.TrimSpace(a.text[source]) != ""
}

// isPlainReference knows the usual sources, /gateway and urn:kelisim:gateway
// and https://host/path, without a character that any part of a URL would
// escape or that means something in another.
func isPlainReference(text string) bool {
	rest, isURN := strings.CutPrefix(text, "urn:")
	if !isURN {
		if host, ok := strings.CutPrefix(text, "https://"); ok {
			rest = host
		}
	}
	if rest == "" || rest[0] == '/' && (isURN || len(rest) != len(text) || len(rest) > 1 && rest[1] == '/') {
		return false
	}
	for i := range len(rest) {
		switch c := rest[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '/':
		case c == ':' && isURN:
		default:
			return false
		}
	}
	return true
}

// isMediaType accepts no media type at all: the attribute is optional.
func isMediaType(text string) bool {
	if text == "" || text == "application/json" {
		return true
	}
	_, _, err := mime.ParseMediaType(text)
	return err == nil
}

// isAbsolute accepts no URI at all: the attribute is optional. The usual ones cost
// nothing.
func isAbsolute(text string) bool {
	if text == "" || isPlainReference(text) && (strings.HasPrefix(text, "urn:") || strings.HasPrefix(text, "https://")) {
		return true
	}
	u, err := url.Parse(text)
	return err == nil && u.IsAbs()
}
