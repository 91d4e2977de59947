package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

const (
	// listOffsetsVersion knows isolation levels; Kafka 0.11 to 4 serve it.
	listOffsetsVersion = 2
	// maxOffsetsFrame bounds the answer: 22 bytes per partition.
	maxOffsetsFrame = 4 << 20
	// offsetsAttempts and offsetsPause: leaders move and connections go stale, once or twice in a row.
	offsetsAttempts = 8
	offsetsPause    = 100 * time.Millisecond
	// timestampFirst and timestampEnd stand for a time in the request.
	timestampFirst = -2
	timestampEnd   = -1
)

// Offsets is the range of a partition that can be read.
type Offsets struct {
	// First is the first offset still kept.
	First int64
	// End is behind the last offset that read-committed readers get: the last stable offset.
	End int64
}

// offsets asks for the range of partitions, of all when none is named. One request per broker and end,
// where kafka-go's ListOffsets sends one per partition.
func (l *links) offsets(ctx context.Context, partitions ...int32) (map[int32]Offsets, error) {
	first, err := l.offsetsAt(ctx, timestampFirst, partitions)
	if err != nil {
		return nil, err
	}
	end, err := l.offsetsAt(ctx, timestampEnd, partitions)
	if err != nil {
		return nil, err
	}
	ranges := make(map[int32]Offsets, len(first))
	for p, offset := range first {
		ranges[p] = Offsets{First: offset, End: end[p]}
	}
	return ranges, nil
}

// offsetsAt asks for the first offset at or after a time in milliseconds, or for an end of the log. It
// tries again while leaders are on the move.
func (l *links) offsetsAt(ctx context.Context, millis int64, partitions []int32) (map[int32]int64, error) {
	var failed error
	for attempt := range offsetsAttempts {
		if attempt > 0 && !pause(ctx, offsetsPause) {
			break
		}
		var found map[int32]int64
		if found, failed = l.tryOffsets(ctx, millis, partitions, attempt > 0); failed == nil {
			return found, nil
		}
	}
	switch cause := context.Cause(ctx); {
	case cause == nil || errors.Is(failed, cause):
	case failed == nil:
		failed = cause
	default:
		failed = fmt.Errorf("%w: %w", cause, failed)
	}
	return nil, fmt.Errorf("offsets of %s: %w", l.topic, failed)
}

func (l *links) tryOffsets(ctx context.Context, millis int64, partitions []int32, refresh bool) (map[int32]int64, error) {
	leaders, err := l.leaders(ctx, refresh)
	if err != nil {
		return nil, err
	}
	if len(partitions) == 0 {
		for p := range leaders {
			partitions = append(partitions, p)
		}
	}
	byBroker := map[int32][]int32{}
	for _, p := range partitions {
		leader, ok := leaders[p]
		if !ok || leader == homeless {
			return nil, fmt.Errorf("partition %d: %w", p, kafka.LeaderNotAvailable)
		}
		byBroker[leader] = append(byBroker[leader], p)
	}
	found := make(map[int32]int64, len(partitions))
	for broker, list := range byBroker {
		if err := l.askOffsets(ctx, broker, millis, list, found); err != nil {
			return nil, err
		}
	}
	if len(found) != len(partitions) {
		return nil, fmt.Errorf("%d of %d partitions answered", len(found), len(partitions))
	}
	return found, nil
}

// askOffsets asks one broker and adds what it says to found.
func (l *links) askOffsets(ctx context.Context, broker int32, millis int64, partitions []int32, found map[int32]int64) error {
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	x := &exchange{
		ctx: ctx, node: broker, api: protocol.ListOffsets, version: listOffsetsVersion,
		clientID: l.conf.clientID(), limit: maxOffsetsFrame,
		body: appendOffsetsRequest(nil, l.topic, millis, partitions),
	}
	if _, err := l.roundTrip(ctx, x); err != nil {
		return fmt.Errorf("broker %d: %w", broker, err)
	}
	r := wireReader{b: x.frame}
	r.int32() // throttle time
	for range r.array(6) {
		name := r.string()
		for range r.array(22) {
			partition, code := r.int32(), r.int16()
			r.int64() // timestamp of the record found
			offset := r.int64()
			if code != 0 {
				return fmt.Errorf("partition %d: %w", partition, kafkaError(code))
			}
			if !r.bad && string(name) == l.topic {
				found[partition] = offset
			}
		}
	}
	if r.bad {
		return fmt.Errorf("broker %d: %w", broker, errBadAnswer)
	}
	return nil
}

// appendOffsetsRequest writes the body of a list-offsets request, version 2.
func appendOffsetsRequest(b []byte, topic string, millis int64, partitions []int32) []byte {
	be := binary.BigEndian
	b = be.AppendUint32(b, ^uint32(0)) // replica: a consumer
	b = append(b, readCommitted)
	b = be.AppendUint32(b, 1) // topics
	b = appendString(b, topic)
	b = be.AppendUint32(b, uint32(len(partitions)))
	for _, p := range partitions {
		b = be.AppendUint32(b, uint32(p))
		b = be.AppendUint64(b, uint64(millis))
	}
	return b
}
