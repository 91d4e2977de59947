package stream

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
)

// firstCorrelation is the correlation id of every request that we write
// ourselves: kafka-go's transport has one request in flight per connection.
const firstCorrelation = 1

// link is the producer's way to the brokers: kafka-go's connection pool.
type link struct {
	transport *transport
	addr      net.Addr
	clientID  string
	timeout   time.Duration // of one request
}

// roundTrip sends one request and waits for its answer, at most for the request
// timeout: a connection that no deadline was set on would wait for ever.
func (l *link) roundTrip(ctx context.Context, req protocol.Message) (protocol.Message, error) {
	limited, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	res, err := l.transport.RoundTrip(limited, l.addr, req)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("no answer within %v: %w", l.timeout, err)
	}
	return res, err
}

// produceCall is one produce request to one broker. It wraps kafka-go's
// rawproduce.Request to learn three things that the transport does not tell:
// whether a byte of it left, when it left, and when the answer was there.
type produceCall struct {
	broker   int32
	clientID string
	request  rawproduce.Request

	version  int16
	stage    atomic.Int32
	sent     time.Time // valid when stage is stageWritten
	received time.Time // valid when the round trip succeeded
}

// The stages of a produceCall. It is either written or abandoned, never both:
// the transport may hand a request to a connection at the very moment its caller
// gives up, and a message that was reported as not sent must not leave then.
const (
	stageNew int32 = iota
	stageWritten
	stageAbandoned
)

// ApiKey implements protocol.Message.
func (c *produceCall) ApiKey() protocol.ApiKey { return protocol.Produce }

// Broker implements protocol.BrokerMessage: the one that was chosen.
func (c *produceCall) Broker(protocol.Cluster) (protocol.Broker, error) {
	return protocol.Broker{ID: c.broker}, nil
}

// Required implements protocol.RawExchanger: always.
func (c *produceCall) Required(versions map[protocol.ApiKey]int16) bool {
	c.version = versions[protocol.Produce]
	return true
}

// RawExchange implements protocol.RawExchanger.
func (c *produceCall) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	c.sent = time.Now()
	if !c.stage.CompareAndSwap(stageNew, stageWritten) {
		return nil, context.Canceled
	}
	res, err := protocol.RoundTrip(rw, c.version, firstCorrelation, c.clientID, &c.request)
	if err == nil {
		c.received = time.Now()
	}
	return res, err
}

// abandon says whether not a byte of the request has left, and makes sure that
// none will.
func (c *produceCall) abandon() bool {
	return c.stage.CompareAndSwap(stageNew, stageAbandoned)
}

// do sends the request. unsent is true only with an error, and means that the
// broker has not seen a byte of it.
func (c *produceCall) do(ctx context.Context, l *link) (res *produce.Response, unsent bool, err error) {
	m, err := l.roundTrip(ctx, c)
	if err != nil {
		return nil, c.abandon(), err
	}
	return m.(*produce.Response), false, nil
}
