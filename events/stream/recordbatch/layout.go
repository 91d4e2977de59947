package recordbatch

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Positions of the fields of a batch, from its first byte (Kafka protocol guide, "Record Batch").
const (
	atBaseOffset      = 0
	atBatchLength     = 8
	atLeaderEpoch     = 12
	atMagic           = 16
	atCRC             = 17
	atAttributes      = 21
	atLastOffsetDelta = 23
	atFirstTimestamp  = 27
	atMaxTimestamp    = 35
	atProducerID      = 43
	atProducerEpoch   = 51
	atBaseSequence    = 53
	atCount           = 57

	// HeaderSize is the number of bytes in front of the first record of a batch.
	HeaderSize = 61
	// lengthPrefix is what the batch length does not count: the base offset and the length itself.
	lengthPrefix = 12
	// magic2 is the only message format read and written here.
	magic2 = 2
	// minRecordSize is the smallest record: length, attributes, two deltas, two lengths and the header
	// count of one byte each. It bounds the record count that a batch can claim.
	minRecordSize = 7
)

// Bits of the batch attributes (Kafka protocol guide, "Record Batch").
const (
	codecMask         = 0x07
	bitAppendTime     = 0x08
	bitTransactional  = 0x10
	bitControl        = 0x20
	controlKeySize    = 4 // version int16, type int16
	controlTypeAbort  = 0
	noProducer        = -1
	noSequence        = -1
	unknownLastOffset = -1
)

// castagnoli is the polynomial of the batch CRC; the table is never written to.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Codec is the compression of a batch, by its number on the wire.
type Codec int8

// The codecs of record batch format 2. The zero value is no compression.
const (
	None   Codec = 0
	Gzip   Codec = 1
	Snappy Codec = 2
	LZ4    Codec = 3
	Zstd   Codec = 4
)

// String gives the name that Kafka's compression.type uses.
func (c Codec) String() string {
	switch c {
	case None:
		return "none"
	case Gzip:
		return "gzip"
	case Snappy:
		return "snappy"
	case LZ4:
		return "lz4"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("codec %d", int8(c))
}

// header is the fixed part of a batch, as read.
type header struct {
	baseOffset      int64
	attributes      int16
	lastOffsetDelta int32
	firstTimestamp  int64
	maxTimestamp    int64
	producerID      int64
	count           int32
}

// lastOffset is the last offset that the batch covers, whether or not a record is left there.
func (h *header) lastOffset() int64 { return h.baseOffset + int64(h.lastOffsetDelta) }

func (h *header) codec() Codec        { return Codec(h.attributes & codecMask) }
func (h *header) appendTime() bool    { return h.attributes&bitAppendTime != 0 }
func (h *header) transactional() bool { return h.attributes&bitTransactional != 0 }
func (h *header) control() bool       { return h.attributes&bitControl != 0 }

// readHeader reads the fixed part of a whole batch. b holds at least HeaderSize bytes.
func readHeader(b []byte) header {
	_ = b[HeaderSize-1]
	return header{
		baseOffset:      int64(binary.BigEndian.Uint64(b[atBaseOffset:])),
		attributes:      int16(binary.BigEndian.Uint16(b[atAttributes:])),
		lastOffsetDelta: int32(binary.BigEndian.Uint32(b[atLastOffsetDelta:])),
		firstTimestamp:  int64(binary.BigEndian.Uint64(b[atFirstTimestamp:])),
		maxTimestamp:    int64(binary.BigEndian.Uint64(b[atMaxTimestamp:])),
		producerID:      int64(binary.BigEndian.Uint64(b[atProducerID:])),
		count:           int32(binary.BigEndian.Uint32(b[atCount:])),
	}
}
