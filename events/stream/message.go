package stream

import (
	"time"

	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

// Message is what a producer publishes. When the call that publishes it has
// returned, the memory of key, value and headers may be used for something else.
type Message struct {
	// Topic is the topic's name; it must exist.
	Topic string
	// Partition is the partition to write to, AnyPartition to let the key decide,
	// or what Beside returns.
	Partition int32
	// Key decides the partition and is what order is kept for. Nil is null and
	// needs a Partition.
	Key []byte
	// Value is the payload. Nil is null: a tombstone on a compacted topic. Empty
	// is not null.
	Value []byte
	// Headers are written in this order; two may have the same key.
	Headers []Header
	// Time is the record's own time, in milliseconds on the wire; zero means now
	// by this machine's clock. On a LogAppendTime topic readers see the broker's
	// append time instead.
	Time time.Time
}

// AnyPartition as Message.Partition lets the key decide, by the rule of
// events.PartitionOf.
const AnyPartition int32 = -1

// Beside as Message.Partition chooses where a copy of a record without a key goes:
// the partition that the record stands in, counted around where the topic of the
// copies has fewer.
func Beside(partition int32) int32 { return AnyPartition - 1 - partition }

// Header is one header of a message. A nil Value is null on the wire.
type Header = recordbatch.Header

// Ack says where an acknowledged message stands in the log. All in-sync
// replicas have it.
type Ack struct {
	// Partition and Offset are its position.
	Partition int32
	Offset    int64
	// Appended is when the broker appended it, by the broker's clock, in whole
	// milliseconds. Zero on a topic that keeps the producers' own times.
	Appended time.Time
}

// recordOverhead bounds what a record takes in its batch beside its body: a
// length, the attributes, a time and an offset.
const recordOverhead = 21

// size is an upper bound of the message's bytes in a batch.
func (m *Message) size() int {
	return recordOverhead + recordbatch.BodySize(m.Key, m.Value, m.Headers)
}

// millis is the time that stands in the record.
func (m *Message) millis(now time.Time) int64 {
	if m.Time.IsZero() {
		return now.UnixMilli()
	}
	return m.Time.UnixMilli()
}
