package cloudevent

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cekafka"
	"github.com/kelisim/kelisim/events/stream"
)

// BarrierKey is the key of every barrier. No subject id contains a slash.
const BarrierKey = "/log"

// LogSource is the CloudEvents source of what is of the log itself.
const LogSource = "/kelisim/consentctl"

// Layout is one generation of the log, as barriers name it.
type Layout struct {
	Generation uint32 `json:"generation"`
	Topic      string `json:"topic"`
	Partitions int32  `json:"partitions"`
}

// Barrier is the data of an event of type [events.LogBarrier].
type Barrier struct {
	Generation uint32  `json:"generation"`         // of the log in which it stands
	Partition  int32   `json:"partition"`          // in which it stands
	Stage      string  `json:"stage"`              // of the partition from here on: opening, open or ended
	Next       *Layout `json:"next,omitempty"`     // where the log goes on, when it has ended
	Before     *Layout `json:"before,omitempty"`   // whose states are entered, when it opens
	Subjects   *int64  `json:"subjects,omitempty"` // that were entered, when it is open
}

// carried is the data of an event of type [events.StateCarried].
type carried struct {
	State []byte `json:"state"`
	From  string `json:"from"` // version of the state in the log before, for people
}

// Message returns the record of a barrier, for its own partition.
func (b *Barrier) Message(at time.Time) (stream.Message, error) {
	data, err := json.Marshal(b)
	if err != nil {
		return stream.Message{}, fmt.Errorf("barrier: %w", err)
	}
	m, err := Encoder{AnyData: true}.Encode(&events.Event{
		ID: fmt.Sprintf("%d/%d/%s", b.Generation, b.Partition, b.Stage), Source: LogSource, Type: events.LogBarrier,
		Decided: events.MillisOf(at), Data: data,
	})
	m.Partition = b.Partition
	return m, err
}

// ReadBarrier reads the data of an event of type [events.LogBarrier].
func ReadBarrier(data []byte) (b Barrier, err error) {
	err = json.Unmarshal(data, &b)
	return b, err
}

// CarriedMessage returns the record that enters a subject's state into another log.
// The state must not be the zero State.
func CarriedMessage(s events.Subject, state events.State, at time.Time) (stream.Message, error) {
	version, _ := state.Version()
	data, err := json.Marshal(carried{State: state.Bytes(), From: version.String()})
	if err != nil {
		return stream.Message{}, fmt.Errorf("carry a state: %w", err)
	}
	return Encoder{AnyData: true}.Encode(&events.Event{
		ID: version.String(), Source: LogSource, Type: events.StateCarried, Subject: s, Decided: events.MillisOf(at), Data: data,
	})
}

// ofLog fills what is of the log itself: here, and nowhere else, the data counts.
func (a *attributes) ofLog(e *events.Event) (err error) {
	if e.Subject, err = a.subject(BarrierKey); err != nil {
		return err
	}
	if e.Type == events.LogBarrier {
		b, err := ReadBarrier(e.Data)
		stage, known := events.ParseStage(b.Stage)
		if err != nil || !known {
			return refuse(cekafka.BadValue, "data")
		}
		e.Barrier = events.Barrier{Generation: b.Generation, Partition: b.Partition, Stage: stage}
		return nil
	}
	var c carried
	if json.Unmarshal(e.Data, &c) != nil {
		return refuse(cekafka.BadValue, "data")
	}
	if e.Carried, err = events.ParseState(c.State); err != nil || e.Carried.IsZero() {
		return refuse(cekafka.BadValue, "data")
	}
	return nil
}
