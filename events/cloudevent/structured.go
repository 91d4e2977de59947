package cloudevent

import (
	"errors"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cekafka"
	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

func isStructured(contentType string) bool { return cekafka.IsStructured(contentType) }

// contentTypeOf returns the content-type header, unless there are two.
func contentTypeOf(headers recordbatch.Headers) (contentType string, once bool) {
	for headers.Len() > 0 {
		key, value := headers.Next()
		if name, ours := cekafka.AttributeName(view(key)); !ours || name != "datacontenttype" || len(key) != len(cekafka.ContentType) {
			continue
		}
		if once {
			return "", false
		}
		contentType, once = view(value), true
	}
	return contentType, once
}

// readStructured reads an event whose attributes stand in the value. It is the
// slow way, for those who cannot write binary mode: nothing is a view.
func (a *attributes) readStructured(contentType string, value []byte) (data []byte, err error) {
	*a = attributes{}
	e, err := cekafka.DecodeStructured(contentType, value)
	var bad *cekafka.MalformedError
	if errors.As(err, &bad) {
		return nil, refuse(bad.Reason, bad.Attribute)
	}
	if err != nil {
		return nil, refuse(cekafka.BadValue, "")
	}
	if e.SpecVersion != "1.0" {
		return nil, refuse(cekafka.SpecVersion, "specversion")
	}
	for s, text := range map[slot]string{
		specVersion: e.SpecVersion, id: e.ID, source: e.Source, eventType: e.Type,
		subject: e.Subject, dataContentType: e.DataContentType, dataSchema: e.DataSchema,
	} {
		if text != "" {
			a.set(s, text)
		}
	}
	if !e.Time.IsZero() {
		a.set(eventTime, "")
		a.moment = moment{at: events.MillisOf(e.Time)}
	}
	for s := partitionKey; s < slots; s++ {
		if text, has := e.Extensions[s.String()]; has {
			a.set(s, text)
		}
	}
	return e.Data, nil
}
