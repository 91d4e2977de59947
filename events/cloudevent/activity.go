package cloudevent

import (
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

// ActivityType is the CloudEvents type of an [Activity].
const ActivityType = "io.kelisim.activity.v1"

// Activity is that a subject used the service, and nothing of what it did there.
// It is no decision: by it a policy version may count as accepted (clause 1.6).
type Activity struct {
	Subject events.Subject
	At      events.Millis // by the source's clock
}

// DecodeActivity reads a record of consent.activity.v1. The subject is a view of
// the record in binary mode and lives no longer. Errors are those of [Decoder].
func DecodeActivity(record *recordbatch.Record) (Activity, error) {
	var a attributes
	if _, err := a.read(record); err != nil {
		return Activity{}, err
	}
	if a.text[eventType] != ActivityType {
		return Activity{}, refuse(UnknownType, "type")
	}
	const must mask = 1<<subject | 1<<eventTime
	if missing := must &^ a.has; missing != 0 {
		return Activity{}, refuse(MissingAttribute, missing.String())
	}
	s, err := events.ParseSubject(a.text[subject])
	if err != nil {
		return Activity{}, refuse(BadSubject, "subject")
	}
	at, err := a.decided()
	return Activity{s, at}, err
}

// EncodeActivity returns the message of an activity, in binary mode and keyed by
// the subject. The topic is left to the caller. The id is unique for the source.
func EncodeActivity(eventID, eventSource string, of Activity) stream.Message {
	key := of.Subject.Reveal()
	w := headerWriter{text: make([]byte, 0, attributesUsually)}
	w.add(specVersion, "1.0")
	w.add(id, eventID)
	w.add(source, eventSource)
	w.add(eventType, ActivityType)
	w.add(dataContentType, "application/json")
	w.addTime(eventTime, of.At)
	w.add(subject, key)
	w.add(partitionKey, key)
	return stream.Message{Partition: stream.AnyPartition, Key: []byte(key), Value: []byte("{}"), Headers: w.headers()}
}
