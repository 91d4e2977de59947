package parked

import (
	"bytes"
	"encoding/json"
	"mime"
	"strconv"
	"strings"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
)

// firstOf returns where an event first stood: what it says of itself, or where
// the service met it.
func firstOf(o *original, met events.Stamp) events.Stamp {
	position, err := events.ParsePosition(o.header(headerFirstPosition))
	if err != nil {
		return met
	}
	at, err := time.Parse(time.RFC3339Nano, o.header(headerFirstTime))
	if err != nil {
		return met
	}
	return events.Stamp{Position: position, Appended: events.MillisOf(at)}
}

func attemptOf(o *original) int {
	n, err := strconv.Atoi(o.header(headerAttempt))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// again returns the message that redrives the event: everything as its producer
// wrote it, with its first place in the order, and the number of the attempt.
// What says of itself where it first stood keeps that.
func (o *original) again(topic string, partition int32, first events.Stamp, attempt int) stream.Message {
	m := stream.Message{Topic: topic, Partition: partition, Key: o.key, Value: o.value}
	place, at := first.Position.String(), first.Appended.Time().Format(time.RFC3339Nano)
	marked := false
	for _, h := range o.headers {
		if h.Key == headerAttempt {
			continue
		}
		marked = marked || h.Key == headerFirstPosition
		m.Headers = append(m.Headers, h)
	}
	switch {
	case o.isStructured():
		m.Value = withFirst(o.value, place, at)
	case !marked:
		m.Headers = append(m.Headers, stream.Header{Key: headerFirstPosition, Value: []byte(place)},
			stream.Header{Key: headerFirstTime, Value: []byte(at)})
	}
	m.Headers = append(m.Headers, stream.Header{Key: headerAttempt, Value: []byte(strconv.Itoa(attempt))})
	return m
}

// Again returns the message that publishes a record of the log again in a topic,
// with its first place in the order: as a redrive does. It outlives the record.
func Again(r *stream.Record, topic string, met events.Stamp) stream.Message {
	o := logged(r)
	return o.again(topic, stream.AnyPartition, firstOf(&o, met), attemptOf(&o)+1)
}

// isStructured says whether the attributes stand in the value (CloudEvents Kafka
// protocol binding 1.0.2, 3.3): headers of theirs would count for nothing.
func (o *original) isStructured() bool {
	media, _, err := mime.ParseMediaType(o.header("content-type"))
	return err == nil && strings.HasPrefix(media, "application/cloudevents")
}

// withFirst puts the first place in front of the other attributes of a JSON
// event, whose bytes stay as they are. What is no JSON object, or has one, stays.
func withFirst(value []byte, place, at string) []byte {
	var has map[string]json.RawMessage
	if json.Unmarshal(value, &has) != nil || has["firstposition"] != nil || len(has) == 0 {
		return value
	}
	_, rest, _ := bytes.Cut(value, []byte("{"))
	out := append([]byte(`{"firstposition":"`), place...)
	out = append(append(append(out, `","firsttime":"`...), at...), `",`...)
	return append(out, rest...)
}
