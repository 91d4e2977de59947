package recordbatch

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

// Info is what a batch says about itself beside its records. The zero value is a batch of nobody in
// particular with base offset 0; Producer must be set for an idempotent one.
type Info struct {
	// Codec compresses the records.
	Codec Codec
	// BaseOffset is 0 for a produce request: the broker assigns it.
	BaseOffset int64
	// Producer makes the batch idempotent; nil leaves producer id, epoch and sequence at -1.
	Producer *Producer
	// Transactional and Control set these attribute bits.
	Transactional, Control bool
	// AppendTime, when not 0, sets the timestamp type bit and stands as the max timestamp, as a broker
	// writes it on a LogAppendTime topic. A producer leaves it 0.
	AppendTime int64
	// LastOffsetDelta, when above that of the last record, makes the batch cover offsets whose records
	// are gone, as the log cleaner leaves it. A producer leaves it 0.
	LastOffsetDelta int32
}

// Producer identifies a batch to the broker, which drops a second copy of it.
type Producer struct {
	// ID and Epoch come from InitProducerID.
	ID    int64
	Epoch int16
	// Sequence is that of the first record; every record takes the next one.
	Sequence int32
}

// Encoder gathers records and writes them as one batch. It keeps its buffers for the next batch and is
// not safe for concurrent use. The zero value is ready.
type Encoder struct {
	records   []byte
	count     int32
	lastDelta int32
	first     int64
	maxTime   int64
	codecs    compressor
}

// maxRecords is how many records a batch can count.
const maxRecords = math.MaxInt32

// Reset forgets the records and keeps the memory.
func (e *Encoder) Reset() {
	e.records, e.count, e.lastDelta, e.first, e.maxTime = e.records[:0], 0, -1, 0, 0
}

// Add appends a record behind the others. time is in milliseconds since 1970; a nil key or value is null.
// Everything is copied. More than 2^31-1 records or bytes are an error.
func (e *Encoder) Add(time int64, key, value []byte, headers Headers) error {
	if e.count == 0 {
		return e.AddAt(0, time, key, value, headers)
	}
	return e.AddAt(e.lastDelta+1, time, key, value, headers)
}

// AddAt appends a record that stands delta behind the base offset; deltas must rise. Only tests leave
// gaps, in the place of the log cleaner.
func (e *Encoder) AddAt(delta int32, time int64, key, value []byte, headers Headers) error {
	if e.count > 0 && delta <= e.lastDelta || delta < 0 {
		return fmt.Errorf("add record: offset delta %d after %d", delta, e.lastDelta)
	}
	if e.count == 0 {
		e.first, e.maxTime = time, time
	}
	size := e.recordSize(delta, time, key, value, headers)
	if e.count == maxRecords || int64(len(e.records))+size > math.MaxInt32-HeaderSize {
		return fmt.Errorf("add record: batch above %d bytes or records", math.MaxInt32)
	}
	e.records = binary.AppendVarint(e.records, size)
	e.records = append(e.records, 0) // attributes of a record: none defined
	e.records = binary.AppendVarint(e.records, time-e.first)
	e.records = binary.AppendVarint(e.records, int64(delta))
	e.records = appendSized(e.records, key)
	e.records = appendSized(e.records, value)
	e.records = binary.AppendVarint(e.records, int64(headers.n))
	e.records = append(e.records, headers.raw...)
	e.maxTime = max(e.maxTime, time)
	e.lastDelta = delta
	e.count++
	return nil
}

// recordSize is the length that stands in front of a record, which does not count itself.
func (e *Encoder) recordSize(delta int32, time int64, key, value []byte, headers Headers) int64 {
	n := 1 + varintSize(time-e.first) + varintSize(int64(delta))
	n += sizedSize(key) + sizedSize(value)
	n += varintSize(int64(headers.n)) + len(headers.raw)
	return int64(n)
}

// sizedSize is what appendSized writes.
func sizedSize(field []byte) int {
	if field == nil {
		return varintSize(-1)
	}
	return varintSize(int64(len(field))) + len(field)
}

// Count is the number of records added since Reset.
func (e *Encoder) Count() int { return int(e.count) }

// Size is what the batch takes uncompressed, header included, in bytes.
func (e *Encoder) Size() int { return HeaderSize + len(e.records) }

// AppendBatch writes the batch behind dst. It may be called again with another Info for the same records:
// the same arguments give the same bytes, which is what a retry of an idempotent producer sends.
func (e *Encoder) AppendBatch(dst []byte, info Info) ([]byte, error) {
	start := len(dst)
	var zero [HeaderSize]byte
	dst = append(dst, zero[:]...)
	attributes := int16(info.Codec)
	if e.count == 0 {
		attributes = 0 // as the log cleaner writes an empty batch
	} else {
		var err error
		if dst, err = e.codecs.append(dst, info.Codec, e.records); err != nil {
			return dst[:start], err
		}
	}
	if info.Transactional {
		attributes |= bitTransactional
	}
	if info.Control {
		attributes |= bitControl
	}
	maxTime := e.maxTime
	if info.AppendTime != 0 {
		attributes |= bitAppendTime
		maxTime = info.AppendTime
	}
	e.putHeader(dst[start:], info, attributes, maxTime)
	return dst, nil
}

// putHeader writes the header in front of the records that stand in b, the CRC last.
func (e *Encoder) putHeader(b []byte, info Info, attributes int16, maxTime int64) {
	lastDelta := info.LastOffsetDelta
	if e.count > 0 {
		lastDelta = max(lastDelta, e.lastDelta)
	}
	producer := Producer{ID: noProducer, Epoch: noProducer, Sequence: noSequence}
	if info.Producer != nil {
		producer = *info.Producer
	}
	be := binary.BigEndian
	be.PutUint64(b[atBaseOffset:], uint64(info.BaseOffset))
	be.PutUint32(b[atBatchLength:], uint32(len(b)-lengthPrefix))
	be.PutUint32(b[atLeaderEpoch:], math.MaxUint32) // -1: the broker fills it in
	b[atMagic] = magic2
	be.PutUint16(b[atAttributes:], uint16(attributes))
	be.PutUint32(b[atLastOffsetDelta:], uint32(lastDelta))
	be.PutUint64(b[atFirstTimestamp:], uint64(e.first))
	be.PutUint64(b[atMaxTimestamp:], uint64(maxTime))
	be.PutUint64(b[atProducerID:], uint64(producer.ID))
	be.PutUint16(b[atProducerEpoch:], uint16(producer.Epoch))
	be.PutUint32(b[atBaseSequence:], uint32(producer.Sequence))
	be.PutUint32(b[atCount:], uint32(e.count))
	be.PutUint32(b[atCRC:], crc32.Checksum(b[atAttributes:], castagnoli))
}
