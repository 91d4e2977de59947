package snapshot

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
)

// The CloudEvents types of the topic's records.
const (
	StateType      = "io.kelisim.state.v1"
	CheckpointType = "io.kelisim.state.checkpoint.v1"
	HoldsType      = "io.kelisim.state.holds.v1"
	OwnerType      = "io.kelisim.state.owner.v1"
)

// The keys of what is no state. No subject id contains a slash.
const (
	checkpointKey = "/checkpoint"
	holdsKey      = "/holds"
	ownerKey      = "/owner"
)

// Source is the CloudEvents source of everything in the topic.
const Source = "/kelisim/snapshots"

// Writer is the name of the service that writes the topic.
const Writer = "snapshots"

// Checkpoint says up to where a partition's states are all there.
type Checkpoint struct {
	Generation uint32    `json:"generation"`
	Partition  int32     `json:"partition"`
	Acted      int64     `json:"acted"`            // the topic holds every state that events below made, or a newer one
	Next       int64     `json:"next"`             // the writer's cache had applied the events below
	Digest     string    `json:"digest,omitempty"` // of all states, 48 bits in hex; only where Acted is Next
	At         time.Time `json:"at"`
}

// Holds are the events that hold subjects of a partition, as of a checkpoint or
// later: subject id → positions, separated by spaces, those with a minus in front
// released, "*" for more than are kept.
type Holds struct {
	Generation uint32            `json:"generation"`
	Partition  int32             `json:"partition"`
	Held       map[string]string `json:"held"`
	Truncated  bool              `json:"truncated,omitempty"` // there are more: only the log has all
}

// Owner names who writes the partition from here on.
type Owner struct {
	Generation uint32    `json:"generation"`
	Partition  int32     `json:"partition"`
	Epoch      int64     `json:"epoch"` // of the owner in the cache of the service that writes
	At         time.Time `json:"at"`
}

// Message returns the record of a subject's state, which must not be the zero
// State: a state is never removed from the topic.
func Message(s events.Subject, state events.State) stream.Message {
	version, _ := state.Version()
	m := stream.Message{Partition: version.Partition, Key: []byte(s.Reveal()), Value: state.Bytes()}
	m.Headers = attributes(StateType, version.String(), "application/octet-stream")
	return m
}

// Message returns the record of the checkpoint.
func (c *Checkpoint) Message() stream.Message {
	id := fmt.Sprintf("%d/%d@%d-%d", c.Generation, c.Partition, c.Acted, c.Next)
	return document(c.Partition, checkpointKey, CheckpointType, id, c)
}

// Message returns the record of the holds.
func (h *Holds) Message(as *Checkpoint) stream.Message {
	id := fmt.Sprintf("%d/%d@%d", h.Generation, h.Partition, as.Next)
	return document(h.Partition, holdsKey, HoldsType, id, h)
}

// Message returns the record of the owner.
func (o *Owner) Message() stream.Message {
	return document(o.Partition, ownerKey, OwnerType, fmt.Sprintf("%d/%d/%d", o.Generation, o.Partition, o.Epoch), o)
}

func document(partition int32, key, kind, id string, content any) stream.Message {
	data, _ := json.Marshal(content) // of plain fields: cannot fail
	return stream.Message{Partition: partition, Key: []byte(key), Value: data, Headers: attributes(kind, id, "application/json")}
}

func attributes(kind, id, content string) []stream.Header {
	return []stream.Header{
		{Key: "ce_specversion", Value: []byte("1.0")},
		{Key: "ce_type", Value: []byte(kind)},
		{Key: "ce_source", Value: []byte(Source)},
		{Key: "ce_id", Value: []byte(id)},
		{Key: "content-type", Value: []byte(content)},
	}
}
