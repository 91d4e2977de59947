package cekafka

import (
	"context"
	"errors"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/segmentio/kafka-go"
)

// Decoded is a valid CloudEvent in plain Go types, for those who need to read
// events and not to speak the SDK. Absent attributes are empty.
type Decoded struct {
	SpecVersion     string
	ID              string
	Source          string
	Type            string
	Subject         string
	DataContentType string
	DataSchema      string
	Time            time.Time
	Extensions      map[string]string // in their canonical string form
	Data            []byte            // nil when the event has none
}

// Decode reads a Kafka message of either content mode and validates it with the
// SDK. Every error wraps [ErrMalformed] and holds no value of the message.
func Decode(record kafka.Message) (Decoded, error) {
	m := NewMessage(record)
	if m.encoding == binding.EncodingUnknown {
		return Decoded{}, unknown(record)
	}
	e, err := binding.ToEvent(context.Background(), m)
	if err != nil {
		return Decoded{}, masked(err)
	}
	if err := e.Validate(); err != nil {
		return Decoded{}, masked(err)
	}
	return plain(e)
}

// DecodeStructured is [Decode] for a record known to be in structured mode:
// the value of its content-type header and its own value.
func DecodeStructured(contentType string, value []byte) (Decoded, error) {
	return Decode(kafka.Message{
		Value:   value,
		Headers: []kafka.Header{{Key: ContentType, Value: []byte(contentType)}},
	})
}

func unknown(record kafka.Message) error {
	if ct, _ := contentType(record.Headers); IsStructured(string(ct)) {
		return malformed(EventFormat, "")
	}
	return malformed(NoSpecVersion, "")
}

// masked keeps our own refusals and hides the text of the SDK's, which quotes
// the values it refuses.
func masked(err error) error {
	var ours *MalformedError
	if errors.As(err, &ours) {
		return ours
	}
	var fields event.ValidationError
	if errors.As(err, &fields) && len(fields) == 1 {
		for name := range fields {
			if name == "specversion" {
				return malformed(SpecVersion, name)
			}
			return malformed(BadValue, name)
		}
	}
	return malformed(BadValue, "")
}

func plain(e *event.Event) (Decoded, error) {
	d := Decoded{
		SpecVersion:     e.SpecVersion(),
		ID:              e.ID(),
		Source:          e.Source(),
		Type:            e.Type(),
		Subject:         e.Subject(),
		DataContentType: e.DataContentType(),
		DataSchema:      e.DataSchema(),
		Time:            e.Time(),
		Extensions:      make(map[string]string, len(e.Extensions())),
		Data:            e.Data(),
	}
	for name, value := range e.Extensions() {
		text, err := types.Format(value)
		if err != nil {
			return Decoded{}, malformed(BadValue, name)
		}
		d.Extensions[name] = text
	}
	return d, nil
}
