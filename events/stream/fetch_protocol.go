package stream

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

// fetchVersion is the version of the fetch request. From version 11 on a broker serves consumers from
// followers too (KIP-392), whose high watermark is behind the leader's: an empty answer would no longer
// prove that nothing newer had been acknowledged. Version 10 is answered by leaders only; it knows zstd,
// leader epochs and fetch sessions, and Kafka 2.1 to 4 serve it.
const fetchVersion = 10

// readCommitted hides what open and aborted transactions wrote.
const readCommitted = 1

// errBadAnswer is returned for an answer that is cut off or otherwise not what the protocol says.
var errBadAnswer = errors.New("malformed answer")

// asked is a partition in a fetch request: from where, how much, and the cursor's turn at that time.
type asked struct {
	partition int32
	maxBytes  int32
	offset    int64
	turn      uint64
}

// appendFetchRequest writes the body of a fetch request, version 10, inside a fetch session.
func appendFetchRequest(b []byte, topic string, waitMillis, maxBytes int32, s *fetchSession) []byte {
	be := binary.BigEndian
	b = be.AppendUint32(b, ^uint32(0)) // replica: a consumer
	b = be.AppendUint32(b, uint32(waitMillis))
	b = be.AppendUint32(b, 1) // min bytes: answer as soon as there is anything
	b = be.AppendUint32(b, uint32(maxBytes))
	b = append(b, readCommitted)
	b = be.AppendUint32(b, uint32(s.id))
	b = be.AppendUint32(b, uint32(s.epoch))
	b = appendTopics(b, topic, len(s.send))
	for _, p := range s.send {
		b = be.AppendUint32(b, uint32(p.partition))
		b = be.AppendUint32(b, ^uint32(0)) // current leader epoch: not checked
		b = be.AppendUint64(b, uint64(p.offset))
		b = be.AppendUint64(b, ^uint64(0)) // log start offset: only followers have one
		b = be.AppendUint32(b, uint32(p.maxBytes))
	}
	b = appendTopics(b, topic, len(s.gone))
	for _, p := range s.gone {
		b = be.AppendUint32(b, uint32(p))
	}
	return b
}

// appendTopics writes an array of topics, of one or none, up to the elements of its array of n partitions.
func appendTopics(b []byte, topic string, n int) []byte {
	be := binary.BigEndian
	if n == 0 {
		return be.AppendUint32(b, 0)
	}
	b = be.AppendUint32(b, 1)
	b = appendString(b, topic)
	return be.AppendUint32(b, uint32(n))
}

// answered is a partition in a fetch response; records and aborted are views of the frame or reused.
type answered struct {
	partition     int32
	code          int16
	highWatermark int64
	lastStable    int64
	logStart      int64
	aborted       []recordbatch.Aborted
	records       []byte
}

// parseFetchResponse walks the body of a fetch response, version 10, and calls each for every partition
// of the topic. The value handed to each is valid during the call. It returns the session id.
func parseFetchResponse(frame []byte, topic string, each func(*answered)) (session int32, err error) {
	r := wireReader{b: frame}
	r.int32() // throttle time: the broker has already waited
	if code := r.int16(); code != 0 {
		return 0, fmt.Errorf("fetch: %w", kafkaError(code))
	}
	session = r.int32()
	var part answered
	for range r.array(6) {
		name := r.string()
		for range r.array(38) {
			part.read(&r)
			if r.bad {
				return 0, fmt.Errorf("fetch: %w", errBadAnswer)
			}
			if string(name) == topic {
				each(&part)
			}
		}
	}
	if r.bad || len(r.b) != 0 {
		return 0, fmt.Errorf("fetch: %w", errBadAnswer)
	}
	return session, nil
}

func (p *answered) read(r *wireReader) {
	p.partition = r.int32()
	p.code = r.int16()
	p.highWatermark = r.int64()
	p.lastStable = r.int64()
	p.logStart = r.int64()
	p.aborted = p.aborted[:0]
	for range r.array(16) {
		p.aborted = append(p.aborted, recordbatch.Aborted{ProducerID: r.int64(), FirstOffset: r.int64()})
	}
	p.records = r.bytes()
}
