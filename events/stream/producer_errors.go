package stream

import (
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"
)

// What became of a message that was not acknowledged. Every error of a publish
// wraps exactly one of the three.
var (
	// ErrNotSent: the message is not in the log and no copy of it is on the way.
	// Publishing it again is safe.
	ErrNotSent = errors.New("not sent")
	// ErrUnknownOutcome: the message may or may not be in the log. Publish it
	// again only under the same event id, so that consumers can tell the copy.
	// Whichever it is, no message that the producer sends to the partition after
	// reporting this stands before it.
	ErrUnknownOutcome = errors.New("may or may not be in the log")
	// ErrRefused: the message is not in the log, and the same message would be
	// refused again: too large, malformed, not allowed.
	ErrRefused = errors.New("refused")
)

// ErrClosed is wrapped, beside ErrNotSent, by every publish after Close.
var ErrClosed = errors.New("producer closed")

// errEarlierFailed is why messages were held back that had queued behind a
// failed one with the same key.
var errEarlierFailed = errors.New("an earlier message of the same key failed")

// PublishError says which message was not acknowledged, and why.
type PublishError struct {
	// Topic and Partition are where it should have gone; Partition is -1 when
	// that was not yet known.
	Topic     string
	Partition int32
	// Index is the message's position in the PublishAll that it was part of.
	Index int
	// Err wraps ErrNotSent, ErrUnknownOutcome or ErrRefused, and the cause.
	Err error
}

// Error names topic and partition. The key is left out: it is the subject.
func (e *PublishError) Error() string {
	return fmt.Sprintf("publish to %s/%d: %v", e.Topic, e.Partition, e.Err)
}

// Unwrap gives the cause.
func (e *PublishError) Unwrap() error { return e.Err }

// PublishAllError holds what failed of a PublishAll, in the order of the
// messages. Messages without an entry were acknowledged.
type PublishAllError struct {
	// Failed has at least one entry.
	Failed []*PublishError
	// Total is the number of messages of the call.
	Total int
}

// Error counts the failures and tells the first.
func (e *PublishAllError) Error() string {
	return fmt.Sprintf("%d of %d messages not acknowledged, the first: %v", len(e.Failed), e.Total, e.Failed[0])
}

// Unwrap gives all failures to errors.Is and errors.As.
func (e *PublishAllError) Unwrap() []error {
	errs := make([]error, len(e.Failed))
	for i, f := range e.Failed {
		errs[i] = f
	}
	return errs
}

// verdict is what one attempt to send a batch showed. The zero verdict is the
// careful one.
type verdict uint8

const (
	// verdictUnknown: the broker may have the batch. Only the same bytes may be
	// sent again.
	verdictUnknown verdict = iota
	// verdictUnsent: not a byte has left. Anything may be done with the messages.
	verdictUnsent
	// verdictStored: all in-sync replicas have the batch.
	verdictStored
	// verdictRefused: not appended, because of what is in the batch.
	verdictRefused
	// verdictDenied: not appended, because of who sends it or where to.
	verdictDenied
	// verdictFenced: not appended, because the broker's memory of this producer
	// does not fit.
	verdictFenced
)

// verdictOf judges the broker's answer for one partition. Codes that are not
// named here, among them NOT_LEADER and UNKNOWN_TOPIC, are no proof: a broker
// that lost the leadership while it waited for its replicas answers so after it
// has appended (kafka.server.DelayedProduce).
func verdictOf(code int16) verdict {
	switch kafka.Error(code) {
	case 0:
		return verdictStored
	case kafka.MessageSizeTooLarge, kafka.RecordListTooLarge, kafka.InvalidTimestamp,
		kafka.InvalidRecord, kafka.PolicyViolation, kafka.UnsupportedForMessageFormat,
		kafka.UnsupportedCompressionType:
		return verdictRefused
	case kafka.TopicAuthorizationFailed, kafka.ClusterAuthorizationFailed,
		kafka.InvalidTopic, kafka.InvalidRequiredAcks:
		return verdictDenied
	case kafka.OutOfOrderSequenceNumber, kafka.InvalidProducerEpoch,
		kafka.UnknownProducerId, kafka.InvalidProducerIDMapping:
		return verdictFenced
	default:
		return verdictUnknown
	}
}
