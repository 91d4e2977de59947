package stream

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
)

const (
	// requestsPerBroker bounds the requests in flight to one broker. One would
	// leave the broker idle while we encode, and make a lone message wait for a
	// large request of other partitions.
	requestsPerBroker = 4
	// requestBytes is where a request stops taking further partitions: small
	// batches share one, large ones go side by side.
	requestBytes = 256 << 10
	// acksAll asks for the acknowledgement of all in-sync replicas.
	acksAll int16 = -1
)

// sender brings lanes to one broker. Lanes that become ready while its requests
// are in flight share the next one.
type sender struct {
	p      *Producer
	broker int32

	mu     sync.Mutex
	ready  []*lane
	active int // requests in flight
}

// push brings lanes, which are laneReady, to the sender.
func (s *sender) push(lanes ...*lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = append(s.ready, lanes...)
	s.start()
}

// start begins another run if there is something to send and room to do so.
func (s *sender) start() {
	if len(s.ready) > 0 && s.active < requestsPerBroker {
		s.active++
		s.p.work.Go(s.run)
	}
}

// run sends requests until nothing is ready.
func (s *sender) run() {
	var again []*lane
	for lanes := s.next(nil); len(lanes) > 0; lanes = s.next(again) {
		again = s.p.send(s.broker, lanes)
	}
}

// next takes the lanes of the next request: in the order in which they became
// ready, until the request is large enough. What is left starts another run.
// again are lanes of the last request that have more to send.
func (s *sender) next(again []*lane) []*lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = append(s.ready, again...)
	n, size := 0, 0
	for n < len(s.ready) && size < requestBytes {
		size += s.ready[n].weight()
		n++
	}
	if n == 0 {
		s.active--
		return nil
	}
	lanes := append([]*lane(nil), s.ready[:n]...)
	s.ready = s.ready[:copy(s.ready, s.ready[n:])]
	s.start()
	return lanes
}

// send carries one request with the next batch of each lane. It returns the
// lanes that can go on at this broker at once; every other is passed on to where
// it belongs.
func (p *Producer) send(broker int32, lanes []*lane) (again []*lane) {
	who, err := p.identities.get(p.ctx)
	if err != nil {
		for _, l := range lanes {
			p.rest(l, err)
		}
		return nil
	}
	call := &produceCall{broker: broker, clientID: p.link.clientID}
	call.request.Acks = acksAll
	call.request.Timeout = int32((p.cfg.RequestTimeout / 2).Milliseconds()) // the other half is the network's
	carried := lanes[:0]
	for _, l := range lanes {
		if p.prepare(l, who) {
			addPartition(&call.request, l)
			carried = append(carried, l)
		}
	}
	if len(carried) == 0 {
		return nil
	}
	res, unsent, err := call.do(p.ctx, p.link)
	for _, l := range carried {
		if !p.conclude(l, attemptOf(l, call, res, unsent, err)) {
			continue
		}
		if p.routes.leader(l.topic, l.partition) == broker {
			again = append(again, l)
		} else {
			p.dispatch(l)
		}
	}
	return again
}

// prepare makes the lane's next batch, or finds the one that has to be sent
// again. Without one the lane is idle and is not carried.
func (p *Producer) prepare(l *lane, who identity) bool {
	for l.pending == nil {
		taken, late := l.take(time.Since(p.start))
		if len(late) > 0 {
			p.failAll(l, late, join(ErrNotSent, l.lateCause()))
		}
		if len(taken) == 0 {
			if l.release() {
				continue // all of them were late or withdrawn
			}
			return false
		}
		b := &batch{entries: taken, seq: l.seq.as(who), deadline: taken[0].deadline}
		if err := p.encode(b); err != nil {
			p.failBatch(l, b, ErrRefused, err)
			continue
		}
		l.pending = b
	}
	return true
}

func (p *Producer) encode(b *batch) error {
	records := p.buffers.encoder()
	defer p.buffers.encoders.Put(records)
	return b.encode(records, p.buffers.wire(), p.cfg.Compression)
}

// addPartition adds the lane's batch to the request.
func addPartition(req *rawproduce.Request, l *lane) {
	for i := range req.Topics {
		if t := &req.Topics[i]; t.Topic == l.topic {
			t.Partitions = append(t.Partitions, l.pending.payload(l.partition))
			return
		}
	}
	req.Topics = append(req.Topics, rawproduce.RequestTopic{
		Topic:      l.topic,
		Partitions: []rawproduce.RequestPartition{l.pending.payload(l.partition)},
	})
}

// attempt is what sending a lane's batch once has shown.
type attempt struct {
	broker         int32
	verdict        verdict
	err            error // unless stored
	offset         int64 // of the first record, when stored
	appended       int64 // milliseconds by the broker's clock, -1 when it does not say
	sent, received time.Time
}

// attemptOf reads the lane's part of the answer.
func attemptOf(l *lane, call *produceCall, res *produce.Response, unsent bool, err error) attempt {
	a := attempt{broker: call.broker, err: err}
	if unsent {
		a.verdict = verdictUnsent
		return a
	}
	a.sent = call.sent
	if err != nil {
		return a
	}
	part := partOf(res, l)
	if part == nil {
		a.err = fmt.Errorf("broker %d: %w", call.broker, protocol.ErrNoPartition)
		return a
	}
	a.verdict, a.received = verdictOf(part.ErrorCode), call.received
	a.offset, a.appended = part.BaseOffset, part.LogAppendTime
	if a.verdict != verdictStored {
		// The broker's own words may quote a record, and keys are subjects: the
		// code says enough.
		a.err = fmt.Errorf("broker %d: %w", call.broker, kafka.Error(part.ErrorCode))
	}
	return a
}

func partOf(res *produce.Response, l *lane) *produce.ResponsePartition {
	if res == nil {
		return nil
	}
	for i := range res.Topics {
		if res.Topics[i].Topic != l.topic {
			continue
		}
		for j := range res.Topics[i].Partitions {
			if part := &res.Topics[i].Partitions[j]; part.Partition == l.partition {
				return part
			}
		}
	}
	return nil
}

// lateCause is why an entry was not sent before its time was over.
func (l *lane) lateCause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause != nil {
		return l.cause
	}
	return context.DeadlineExceeded
}
