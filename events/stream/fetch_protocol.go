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

// appendFetchRequest writes the body of a fetch request, version 10, without a fetch session.
func appendFetchRequest(b []byte, topic string, waitMillis, maxBytes int32, parts []asked) []byte {
	be := binary.BigEndian
	b = be.AppendUint32(b, ^uint32(0)) // replica: a consumer
	b = be.AppendUint32(b, uint32(waitMillis))
	b = be.AppendUint32(b, 1) // min bytes: answer as soon as there is anything
	b = be.AppendUint32(b, uint32(maxBytes))
	b = append(b, readCommitted)
	b = be.AppendUint32(b, 0)          // session id: none
	b = be.AppendUint32(b, ^uint32(0)) // session epoch: none
	b = be.AppendUint32(b, 1)          // topics
	b = appendString(b, topic)
	b = be.AppendUint32(b, uint32(len(parts)))
	for _, p := range parts {
		b = be.AppendUint32(b, uint32(p.partition))
		b = be.AppendUint32(b, ^uint32(0)) // current leader epoch: not checked
		b = be.AppendUint64(b, uint64(p.offset))
		b = be.AppendUint64(b, ^uint64(0)) // log start offset: only followers have one
		b = be.AppendUint32(b, uint32(p.maxBytes))
	}
	return be.AppendUint32(b, 0) // forgotten topics
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
// of the topic. The value handed to each is valid during the call.
func parseFetchResponse(frame []byte, topic string, each func(*answered)) error {
	r := wireReader{b: frame}
	r.int32() // throttle time: the broker has already waited
	if code := r.int16(); code != 0 {
		return fmt.Errorf("fetch: %w", kafkaError(code))
	}
	r.int32() // session id
	var part answered
	for range r.array(6) {
		name := r.string()
		for range r.array(38) {
			part.read(&r)
			if r.bad {
				return fmt.Errorf("fetch: %w", errBadAnswer)
			}
			if string(name) == topic {
				each(&part)
			}
		}
	}
	if r.bad || len(r.b) != 0 {
		return fmt.Errorf("fetch: %w", errBadAnswer)
	}
	return nil
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
