package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/segmentio/kafka-go/protocol"
)

const (
	// replyTimeout is how long a broker may take beyond what it was asked to wait, and how long the next
	// piece of an answer may take. A killed broker resets its connections at once; this is for one that
	// hangs, or a network that swallows packets.
	replyTimeout = 5 * time.Second
	// replyPiece is what has to arrive within replyTimeout: 50 KB/s are enough for any answer.
	replyPiece = 256 << 10
	// correlation marks request and answer. A connection carries one request at a time, so it may be
	// the same for all.
	correlation int32 = 0x6b6c736d
)

// ErrFrameTooLarge is wrapped when a broker announces an answer above MaxFrameBytes.
var ErrFrameTooLarge = errors.New("answer above the frame limit")

// exchange is one request that is written and read by us: kafka-go lends the connection, which it has
// authenticated, and routes by node id. It is its own kafka-go response. Once the context has ended the
// exchange belongs to the connection's goroutine and must not be looked at again.
type exchange struct {
	ctx      context.Context
	node     int32 // broker to ask
	api      protocol.ApiKey
	version  int16
	clientID string
	body     []byte        // request behind its header
	wait     time.Duration // how long the broker was asked to hold the answer back
	limit    int           // of the answer, in bytes

	sent  time.Time // when the request left
	frame []byte    // buffer on the way in; on the way out the answer behind its header
}

// deadliner is the part of a connection that an io.ReadWriter does not show.
type deadliner interface {
	SetDeadline(time.Time) error
}

// ApiKey says which request this is.
func (x *exchange) ApiKey() protocol.ApiKey { return x.api }

// Broker routes to the node that was asked for.
func (x *exchange) Broker(cluster protocol.Cluster) (protocol.Broker, error) {
	b, ok := cluster.Brokers[x.node]
	if !ok {
		return protocol.Broker{}, fmt.Errorf("broker %d is not in the metadata", x.node)
	}
	return b, nil
}

// Required makes kafka-go call RawExchange. The version asked for is one that Kafka 2.1 to 4 serve.
func (x *exchange) Required(map[protocol.ApiKey]int16) bool { return true }

// RawExchange writes the request and reads the answer. The end of the context interrupts it, and the
// connection is then given up.
func (x *exchange) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	conn, ok := rw.(deadliner)
	if !ok {
		return nil, fmt.Errorf("connection %T has no deadlines", rw)
	}
	stop := context.AfterFunc(x.ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err := x.run(rw, conn)
	if !stop() {
		return nil, context.Cause(x.ctx)
	}
	if err != nil {
		return nil, err
	}
	return x, conn.SetDeadline(time.Time{})
}

func (x *exchange) run(rw io.ReadWriter, conn deadliner) error {
	if err := x.extend(conn, 0); err != nil {
		return err
	}
	x.sent = time.Now()
	if _, err := rw.Write(x.request()); err != nil {
		return err
	}
	if err := x.extend(conn, x.wait); err != nil {
		return err
	}
	var head [8]byte
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return err
	}
	size := int64(int32(binary.BigEndian.Uint32(head[:4]))) - 4
	if got := int32(binary.BigEndian.Uint32(head[4:])); got != correlation || size < 0 {
		return fmt.Errorf("answer of %d bytes to request %x, not %x", size, got, correlation)
	}
	if size > int64(x.limit) {
		return fmt.Errorf("%w: %d bytes, limit %d", ErrFrameTooLarge, size, x.limit)
	}
	return x.read(rw, conn, int(size))
}

// read takes the answer in pieces, each with its own deadline, so that a large answer on a slow line is
// not mistaken for a broker that hangs.
func (x *exchange) read(rw io.Reader, conn deadliner, size int) error {
	if cap(x.frame) < size {
		x.frame = make([]byte, roundUp(size))
	}
	x.frame = x.frame[:size]
	for at := 0; at < size; at += replyPiece {
		if err := x.extend(conn, 0); err != nil {
			return err
		}
		if _, err := io.ReadFull(rw, x.frame[at:min(at+replyPiece, size)]); err != nil {
			return err
		}
	}
	return nil
}

// extend sets the next deadline, unless the context has ended: its own deadline must stay.
func (x *exchange) extend(conn deadliner, wait time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(wait + replyTimeout)); err != nil {
		return err
	}
	return x.ctx.Err()
}

// request is the whole frame: size, header version 1, body.
func (x *exchange) request() []byte {
	b := make([]byte, 4, 32+len(x.clientID)+len(x.body))
	b = binary.BigEndian.AppendUint16(b, uint16(x.api))
	b = binary.BigEndian.AppendUint16(b, uint16(x.version))
	b = binary.BigEndian.AppendUint32(b, uint32(correlation))
	b = appendString(b, x.clientID)
	b = append(b, x.body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// roundUp leaves room for the next, slightly larger answer.
func roundUp(n int) int {
	const step = 64 << 10
	return (n + step - 1) / step * step
}

// appendString writes a string with its length in two bytes.
func appendString(b []byte, s string) []byte {
	s = s[:min(len(s), math.MaxInt16)]
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}
