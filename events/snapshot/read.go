package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
)

// ErrRecord is the cause when a record is none of the topic.
var ErrRecord = errors.New("not a record of the state topic")

// Entry is what a record says. Exactly one of Subject, Checkpoint and Holds is
// there; none of them in a record that readers skip.
type Entry struct {
	Subject    events.Subject
	State      events.State // the zero State when somebody removed the subject's record
	Checkpoint *Checkpoint
	Holds      *Holds
}

// Read takes a record of the topic apart. The entry holds copies. The error wraps
// ErrRecord, and names position and cause, never the subject.
func Read(r *stream.Record) (Entry, error) {
	e, err := read(r)
	if err != nil {
		return Entry{}, fmt.Errorf("partition %d, offset %d: %w: %w", r.Partition, r.Offset, ErrRecord, err)
	}
	return e, nil
}

func read(r *stream.Record) (e Entry, err error) {
	switch key := string(r.Key); key {
	case checkpointKey:
		e.Checkpoint = new(Checkpoint)
		if err = json.Unmarshal(r.Value, e.Checkpoint); err == nil && (e.Checkpoint.Partition != r.Partition || e.Checkpoint.Acted < 0) {
			err = fmt.Errorf("a checkpoint of partition %d at %d", e.Checkpoint.Partition, e.Checkpoint.Acted)
		}
	case holdsKey:
		e.Holds = new(Holds)
		if err = json.Unmarshal(r.Value, e.Holds); err == nil && e.Holds.Partition != r.Partition {
			err = fmt.Errorf("holds of partition %d", e.Holds.Partition)
		}
	case ownerKey:
	default:
		return readState(r, key)
	}
	return e, err
}

func readState(r *stream.Record, key string) (e Entry, err error) {
	if e.Subject, err = events.ParseSubject(key); err != nil {
		return e, err
	}
	if len(r.Value) == 0 {
		return e, nil
	}
	if e.State, err = events.ParseState(r.Value); err != nil {
		return e, err
	}
	if version, _ := e.State.Version(); version.Partition != r.Partition {
		return e, fmt.Errorf("a state of %v", version)
	}
	return e, nil
}
