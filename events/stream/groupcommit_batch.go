package stream

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/rawproduce"

	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

const (
	// sizePrefix is the length that kafka-go wants in front of a raw record set.
	sizePrefix = 4
	// compressFrom is the least size of a batch that is worth compressing: a
	// single event would grow or gain nothing.
	compressFrom = 2 << 10
)

// batch is one record batch: the messages and the very bytes that are sent, and
// sent again, for them.
type batch struct {
	entries []*entry
	wire    []byte // size prefix and record batch
	seq     sequence
	// doubt is set when an attempt ended without proof that the broker did not
	// append the batch. From then on nothing but these bytes settles it.
	doubt    bool
	deadline time.Duration // of its oldest entry, since the producer's start
	sent     time.Time     // the first time
}

// payload is the batch in the form that a produce request carries. Each request
// needs its own, and reads only: an earlier one may still be on its way.
func (b *batch) payload(partition int32) rawproduce.RequestPartition {
	return rawproduce.RequestPartition{
		Partition: partition,
		RecordSet: protocol.RawRecordSet{Reader: bytes.NewReader(b.wire)},
	}
}

// encode writes the batch's bytes behind buf[:0].
func (b *batch) encode(records *recordbatch.Encoder, buf []byte, codec recordbatch.Codec) error {
	records.Reset()
	for _, e := range b.entries {
		if err := records.AddBody(e.millis, e.body); err != nil {
			return fmt.Errorf("encode batch: %w", err)
		}
	}
	if records.Size() < compressFrom {
		codec = recordbatch.None
	}
	var err error
	b.wire, err = records.AppendBatch(append(buf[:0], 0, 0, 0, 0), recordbatch.Info{
		Codec:    codec,
		Producer: &recordbatch.Producer{ID: b.seq.who.id, Epoch: b.seq.who.epoch, Sequence: b.seq.next},
	})
	if err != nil {
		return fmt.Errorf("encode batch: %w", err)
	}
	binary.BigEndian.PutUint32(b.wire, uint32(len(b.wire)-sizePrefix))
	return nil
}

// buffers keeps the memory of batches and encoders between requests.
type buffers struct {
	wires    sync.Pool // of *[]byte: bytes on the wire
	arenas   sync.Pool // of *[]byte: bodies of one PublishAll
	encoders sync.Pool // of *recordbatch.Encoder
}

func (p *buffers) wire() []byte {
	if w, ok := p.wires.Get().(*[]byte); ok {
		return *w
	}
	return nil
}

// reuse takes the batch's memory back. A batch that was in doubt keeps it: a
// connection that was given up may still be reading.
func (p *buffers) reuse(b *batch) {
	if !b.doubt {
		p.wires.Put(&b.wire)
	}
}

// arena gives empty memory with room for n bytes.
func (p *buffers) arena(n int) []byte {
	if a, ok := p.arenas.Get().(*[]byte); ok && cap(*a) >= n {
		return (*a)[:0]
	}
	return make([]byte, 0, n)
}

func (p *buffers) encoder() *recordbatch.Encoder {
	if c, ok := p.encoders.Get().(*recordbatch.Encoder); ok {
		return c
	}
	return new(recordbatch.Encoder)
}
