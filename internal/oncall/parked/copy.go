package parked

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
)

// The headers that keep a redriven event's first place in the order, and the one
// that counts how often it was redriven. The last means nothing to the decoder.
const (
	headerFirstPosition = "ce_firstposition"
	headerFirstTime     = "ce_firsttime"
	headerAttempt       = "kelisim_attempt"
)

// Place is where a record stands in the parked topic.
type Place struct {
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
}

// Copy is what one service parked.
type Copy struct {
	Place
	Service  string        `json:"service"`
	Reason   string        `json:"reason"`
	ParkedAt events.Millis `json:"parkedat"` // by the broker's clock
	Position string        `json:"position"` // where the service met it
	Attempt  int           `json:"attempt"`  // 0: as its producer published it
	LeftOut  int           `json:"leftout"`  // bytes that the parked topic refused: the record is in the log of events alone

	position events.Position
	stamp    events.Stamp // where and when the event first stood
}

// original is a parked record without what parking added: the event as it stood
// in the log.
type original struct {
	key, value []byte
	headers    []stream.Header
	logAppend  bool
}

// ours are the headers that parking adds, in their order at the end.
var ours = [...]string{
	consumers.HeaderParkedPosition, consumers.HeaderParkedAppended, consumers.HeaderParkedReason, consumers.HeaderParkedService,
}

// split takes a parked record apart. It copies nothing.
func split(r *stream.Record) (Copy, original, error) {
	all := make([]stream.Header, 0, r.Headers.Len())
	for key, value := range r.Headers.All() {
		all = append(all, stream.Header{Key: string(key), Value: value})
	}
	at := Place{r.Partition, r.Offset}
	theirs := len(all) - len(ours)
	if theirs < 0 {
		return Copy{}, original{}, fmt.Errorf("parked record at %d@%d: has only %d headers", at.Partition, at.Offset, len(all))
	}
	var values [len(ours)]string
	for i, name := range ours {
		if all[theirs+i].Key != name {
			return Copy{}, original{}, fmt.Errorf("parked record at %d@%d: header %s is not in its place", at.Partition, at.Offset, name)
		}
		values[i] = string(all[theirs+i].Value)
	}
	c := Copy{Place: at, Position: values[0], Reason: values[2], Service: values[3], ParkedAt: events.Millis(r.Time)}
	var err error
	if c.position, err = events.ParsePosition(values[0]); err != nil {
		return Copy{}, original{}, fmt.Errorf("parked record at %d@%d: %w", at.Partition, at.Offset, err)
	}
	appended, err := strconv.ParseInt(values[1], 10, 64)
	if err != nil {
		return Copy{}, original{}, fmt.Errorf("parked record at %d@%d: append time is no number", at.Partition, at.Offset)
	}
	c.stamp = events.Stamp{Position: c.position, Appended: events.Millis(appended)}
	if theirs == 1 && r.Value == nil && all[0].Key == consumers.HeaderParkedLeftOut {
		if c.LeftOut, err = strconv.Atoi(string(all[0].Value)); err != nil || c.LeftOut < 1 {
			return Copy{}, original{}, fmt.Errorf("parked record at %d@%d: what was left out is no number", at.Partition, at.Offset)
		}
		return c, original{key: r.Key, logAppend: true}, nil
	}
	return c, original{key: r.Key, value: r.Value, headers: all[:theirs:theirs], logAppend: true}, nil
}

// clone makes the original outlive its record.
func (o *original) clone() original {
	c := original{key: bytes.Clone(o.key), value: bytes.Clone(o.value), logAppend: o.logAppend}
	for _, h := range o.headers {
		c.headers = append(c.headers, stream.Header{Key: h.Key, Value: bytes.Clone(h.Value)})
	}
	return c
}

// header returns the value of the first header of that name.
func (o *original) header(name string) string {
	for _, h := range o.headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

// record is the original as a consumer reads it.
func (o *original) record() *stream.Record {
	r := &stream.Record{Key: o.key, Value: o.value, LogAppend: o.logAppend}
	for _, h := range o.headers {
		r.Headers = r.Headers.Append(h.Key, h.Value)
	}
	return r
}

// subject reads the id out of the key: the zero Subject where it is none.
func (o *original) subject() events.Subject {
	s, _ := events.ParseSubject(string(o.key)) // the zero Subject is held nowhere
	return s
}
