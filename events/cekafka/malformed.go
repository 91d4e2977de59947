package cekafka

import "errors"

// ErrMalformed is the cause of every error that says: this record claims to be
// a CloudEvent and is not a valid one. Trying again cannot help.
var ErrMalformed = errors.New("malformed CloudEvent")

// Reason is a short stable word for why a record is malformed, fit for a metric
// label.
type Reason string

// The reasons of this package.
const (
	DuplicateAttribute  Reason = "duplicate-attribute"   // the same header or JSON member twice
	BadName             Reason = "attribute-name"        // not lower-case letters and digits
	BadUTF8             Reason = "utf8"                  // a name, a value or the JSON text
	ContentTypeConflict Reason = "content-type-conflict" // content-type and ce_datacontenttype differ
	TooManyAttributes   Reason = "too-many-attributes"   // above MaxAttributes
	NoSpecVersion       Reason = "no-specversion"        // not a CloudEvent at all
	SpecVersion         Reason = "specversion"           // neither 1.0 nor 0.3
	EventFormat         Reason = "event-format"          // structured mode in a format that is not known
	Charset             Reason = "charset"               // structured mode, not in UTF-8
	JSON                Reason = "json"                  // structured mode, not one JSON object
	BadValue            Reason = "attribute-value"       // not of the attribute's type, or missing
)

// MalformedError says what is wrong with a record. Its text holds no value of
// the record, which may be personal data, and no name that the record invented.
type MalformedError struct {
	Reason    Reason
	Attribute string // the attribute by its CloudEvents name, "extension", or empty
}

// Error implements error.
func (e *MalformedError) Error() string {
	text := ErrMalformed.Error() + ": " + string(e.Reason)
	if e.Attribute != "" {
		text += " of " + e.Attribute
	}
	return text
}

// Is makes errors.Is(err, ErrMalformed) hold.
func (e *MalformedError) Is(target error) bool { return target == ErrMalformed }

func malformed(r Reason, attribute string) error {
	return &MalformedError{Reason: r, Attribute: printable(attribute)}
}

// printable keeps the names of the specification and hides all others.
func printable(attribute string) string {
	switch attribute {
	case "", "id", "source", "specversion", "type", "datacontenttype", "dataschema", "subject", "time",
		"schemaurl", "datacontentencoding", "partitionkey", "data", "data_base64":
		return attribute
	}
	return "extension"
}
