package cloudevent

import (
	"errors"

	"github.com/kelisim/kelisim/events/cekafka"
)

// ErrMalformed is the cause of every error of [Decoder] and [Encoder]: no retry
// helps, the record is to be parked and its subject held.
var ErrMalformed = errors.New("malformed event")

// Reason is a short stable word for why a record is refused: a metric label and
// a header of the parked record. Those of package cekafka come on top.
type Reason = cekafka.Reason

// The reasons of Kelisim's own contract.
const (
	NullValue        Reason = "null-value"        // a tombstone
	NoData           Reason = "no-data"           // an empty value, a structured event without data
	DataNotObject    Reason = "data-not-object"   // data is no JSON object
	NotJSON          Reason = "not-json"          // datacontenttype is another
	MissingAttribute Reason = "missing-attribute" // mandatory, or for this type
	ExtraAttribute   Reason = "extra-attribute"   // must not stand on this type
	UnknownType      Reason = "unknown-type"
	OtherTopic       Reason = "other-topic" // a policy among events, or an event among policies
	BadSubject       Reason = "bad-subject" // not an opaque id
	KeyMismatch      Reason = "key-mismatch"
	UnknownPurpose   Reason = "unknown-purpose"

	// DataOutsideSchema is the encoder's alone: readers take any JSON object as data, so
	// that a producer can be a version ahead.
	DataOutsideSchema Reason = "data-schema"
)

// MalformedError says what is wrong with a record. Its text holds no value of
// the record, which may be personal data.
type MalformedError struct {
	reason    Reason
	attribute string
}

// Error implements error.
func (e *MalformedError) Error() string {
	text := ErrMalformed.Error() + ": " + string(e.reason)
	if e.attribute != "" {
		text += " of " + e.attribute
	}
	return text
}

// Is makes errors.Is(err, ErrMalformed) hold.
func (e *MalformedError) Is(target error) bool { return target == ErrMalformed }

// Reason returns the short stable word.
func (e *MalformedError) Reason() string { return string(e.reason) }

// Attribute returns the CloudEvents name of the attribute at fault, "extension"
// for one that Kelisim does not know, or nothing. Of those that are missing, and of
// those that must not be there, it names all, with a comma between each two.
func (e *MalformedError) Attribute() string { return e.attribute }

func refuse(r Reason, attribute string) error { return &MalformedError{r, attribute} }
