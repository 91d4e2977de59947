package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events/stream"
)

// Type is the CloudEvents type of every entry.
const Type = "io.kelisim.audit.v1"

// source is the CloudEvents source: the program.
const source = "/consentctl"

// maxText bounds what people and errors say, in bytes: an entry is a line, and
// no message may grow so large that it cannot be recorded.
const maxText = 2000

// Phase is how far an act is.
type Phase string

// The phases. An act has a begun, and one of the others unless the program died
// or could not say it.
const (
	Begun  Phase = "begun"
	Done   Phase = "done"
	Failed Phase = "failed"
	Partly Phase = "partly" // and can go on
)

// Who is on whose word an act happens.
type Who struct {
	Operator string `json:"operator"`
	Approver string `json:"approver,omitempty"` // the second operator, where one is wanted
	Reason   string `json:"reason"`
	Context  string `json:"context,omitempty"` // of consentctl
}

// Entry is one event of the record: an act begins or ends.
type Entry struct {
	Act   string `json:"act"` // names the act; the same in all of its entries
	Phase Phase  `json:"phase"`
	Who
	Command string     `json:"command"`
	Plan    string     `json:"plan"` // hash
	Result  string     `json:"result,omitempty"`
	Error   string     `json:"error,omitempty"`
	Begun   time.Time  `json:"begun"` // by the operator's clock
	Ended   *time.Time `json:"ended,omitempty"`

	Recorded time.Time `json:"recorded,omitzero"` // by the broker's clock; when read
}

// message writes an entry as a CloudEvent in binary mode (CloudEvents Kafka
// protocol binding 1.0.2, 3.2).
func (e Entry) message(topic string) (stream.Message, error) {
	at := e.Begun
	if e.Ended != nil {
		at = *e.Ended
	}
	e.Reason, e.Result, e.Error = clip(e.Reason), clip(e.Result), clip(e.Error)
	data, err := json.Marshal(e)
	if err != nil {
		return stream.Message{}, err
	}
	header := func(name, value string) stream.Header { return stream.Header{Key: name, Value: []byte(value)} }
	return stream.Message{
		Topic: topic, Partition: stream.AnyPartition, Key: []byte(e.Act), Value: data,
		Headers: []stream.Header{
			header("ce_specversion", "1.0"), header("ce_type", Type), header("ce_source", source),
			header("ce_id", e.Act+"-"+string(e.Phase)), header("ce_time", at.UTC().Format(time.RFC3339Nano)),
			header("ce_partitionkey", e.Act), header("content-type", "application/json"),
		},
	}, nil
}

// clip keeps the beginning of a long text, whole characters only.
func clip(text string) string {
	if len(text) <= maxText {
		return text
	}
	return string(bytes.ToValidUTF8([]byte(text[:maxText]), nil)) + "…"
}

// Parse reads an entry of a record. It ignores fields that it does not know.
func Parse(record *stream.Record) (Entry, error) {
	var e Entry
	kind := ""
	for key, value := range record.Headers.All() {
		if string(key) == "ce_type" {
			kind = string(value)
		}
	}
	if kind != Type {
		return e, fmt.Errorf("type %q: want %s", kind, Type)
	}
	if err := json.Unmarshal(record.Value, &e); err != nil {
		return e, fmt.Errorf("entry: %w", err)
	}
	e.Recorded = time.UnixMilli(record.Time).UTC()
	return e, nil
}
