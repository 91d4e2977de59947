package stream

import (
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"

	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

// ErrOutOfRange is wrapped by an OutOfRangeError.
var ErrOutOfRange = errors.New("position is outside the log")

// OutOfRangeError says that the log no longer has, or does not yet have, what was asked for: retention
// took it, somebody deleted records, or the topic is another one. Nothing is skipped: the partition
// stands still until Seek says where to go on, and somebody has to answer for the gap.
type OutOfRangeError struct {
	Topic     string
	Partition int32
	// Offset is the position wanted.
	Offset int64
	// LogStart and LogEnd are what the log has, LogEnd exclusive; -1 when the broker did not say.
	LogStart, LogEnd int64
}

// Error names the partition, the position and the range.
func (e *OutOfRangeError) Error() string {
	return fmt.Sprintf("read %s/%d@%d: %v, which has %d to %d",
		e.Topic, e.Partition, e.Offset, ErrOutOfRange, e.LogStart, e.LogEnd)
}

// Unwrap gives ErrOutOfRange.
func (e *OutOfRangeError) Unwrap() error { return ErrOutOfRange }

// CorruptError says that a batch could not be read, also when fetched again. The partition stands still
// in front of it until Seek: whoever parks Raw may go on at Last+1.
type CorruptError struct {
	Topic     string
	Partition int32
	// First and Last are the offsets that the batch covers; Last is -1 when not even that is certain.
	First, Last int64
	// Raw are the bytes of the batch. They hold personal data and belong in no log.
	Raw []byte
	// Err wraps recordbatch.ErrCorrupt, ErrFormat or ErrTooLarge.
	Err error
}

// Error names the partition, the batch and what is wrong with it.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("read %s/%d: batch at offsets %d to %d: %v", e.Topic, e.Partition, e.First, e.Last, e.Err)
}

// Unwrap gives the cause.
func (e *CorruptError) Unwrap() error { return e.Err }

// PartitionError says that a broker refuses to serve a partition, for lack of permission for example. It
// is tried again, slowly, and reported every time.
type PartitionError struct {
	Topic     string
	Partition int32
	Err       error
}

// Error names the partition and the cause.
func (e *PartitionError) Error() string {
	return fmt.Sprintf("read %s/%d: %v", e.Topic, e.Partition, e.Err)
}

// Unwrap gives the broker's answer.
func (e *PartitionError) Unwrap() error { return e.Err }

// kafkaError turns an error code of the protocol into an error.
func kafkaError(code int16) error { return kafka.Error(code) }

// isMoved tells the error codes after which another broker, or the same one a little later, will serve
// the partition.
func isMoved(code int16) bool {
	switch kafka.Error(code) {
	case kafka.UnknownTopicOrPartition, kafka.LeaderNotAvailable, kafka.NotLeaderForPartition,
		kafka.ReplicaNotAvailable, kafka.KafkaStorageError, kafka.FencedLeaderEpoch,
		kafka.UnknownLeaderEpoch, kafka.OffsetNotAvailable, kafka.BrokerNotAvailable,
		kafka.RequestTimedOut:
		return true
	}
	return false
}

// corruptError adds where a broken batch was read, and copies its bytes out of the Fetch.
func corruptError(topic string, partition int32, err error) error {
	var b *recordbatch.BatchError
	if !errors.As(err, &b) {
		return &PartitionError{Topic: topic, Partition: partition, Err: err}
	}
	return &CorruptError{
		Topic: topic, Partition: partition, First: b.First, Last: b.Last,
		Raw: append([]byte(nil), b.Raw...), Err: b.Err,
	}
}
