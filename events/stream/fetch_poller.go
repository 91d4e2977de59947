package stream

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

const (
	// readAgain is how often a batch that cannot be read is fetched anew before it is reported: bytes may
	// have been hurt on the way.
	readAgain = 2
	// refusedPause is the wait after a broker refused a partition for a reason that time alone may cure.
	refusedPause = time.Second
)

// errInterrupted ends a long poll because the next one has to ask for something else.
var errInterrupted = errors.New("long poll interrupted")

// poller asks one broker, again and again, for the partitions that it leads.
type poller struct {
	broker    int32
	blocked   atomic.Bool             // waits for Poll to take what it has
	interrupt context.CancelCauseFunc // ends the wait for the answer; guarded by the fetcher's mutex
	asked     []asked                 // by the request under way, named in it or not
	session   fetchSession
	decoder   *recordbatch.Decoder
	body      []byte
	faults    []*Fetch
}

// poll runs until the broker leads nothing of ours any more, fails, or ctx ends.
func (f *fetcher) poll(ctx context.Context, p *poller) {
	p.decoder = recordbatch.NewDecoder(f.conf.MaxUnpackedBytes, f.conf.MaxUnpackedBytes)
	for ctx.Err() == nil {
		x, err := f.ask(ctx, p)
		if x != nil && !f.hand(ctx, p, x) {
			return
		}
		switch {
		case errors.Is(err, errInterrupted), isForgotten(err) && p.session.epoch != 0:
			p.session.begin()
			continue
		case err != nil:
			f.lose(ctx, p, err)
			return
		case x == nil:
			return
		}
	}
}

// ask sends one request and decodes the answer. It returns nothing when there is nothing to ask for, and
// both when an answer broke off: what was read of it counts, for the positions have moved.
func (f *fetcher) ask(ctx context.Context, p *poller) (*Fetch, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if len(f.plan(p, cancel)) == 0 {
		return nil, nil
	}
	fetch := f.empty()
	wait := int32(f.conf.MaxWait / time.Millisecond)
	p.session.plan(p.asked)
	p.body = appendFetchRequest(p.body[:0], f.conf.Topic, wait, f.conf.MaxFetchBytes, &p.session)
	x := &exchange{
		ctx: ctx, node: p.broker, api: protocol.Fetch, version: fetchVersion, clientID: f.links.conf.clientID(),
		body: p.body, wait: f.conf.MaxWait, limit: f.conf.MaxFrameBytes, frame: fetch.frame,
	}
	if _, err := f.links.roundTrip(ctx, x); err != nil {
		p.body = nil // the exchange may still be under way with it, and with the memory of the Fetch
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, err
	}
	fetch.Sent, fetch.frame = x.sent, x.frame
	return fetch, f.decode(p, fetch)
}

// decode turns the answer into batches and notes what each partition said.
func (f *fetcher) decode(p *poller, x *Fetch) error {
	p.faults = p.faults[:0]
	session, err := parseFetchResponse(x.frame, f.conf.Topic, func(a *answered) {
		for _, q := range p.asked {
			if q.partition == a.partition {
				p.session.hear(a)
				f.take(p, x, q, a)
				return
			}
		}
	})
	if err == nil {
		p.session.answered(session)
		for _, q := range p.asked {
			if a, ok := p.session.silent(q.partition); ok {
				f.take(p, x, q, a)
			}
		}
	}
	x.cut()
	return err
}

// take is the answer for one partition.
func (f *fetcher) take(p *poller, x *Fetch, q asked, a *answered) {
	switch {
	case a.code == 0:
		f.takeRecords(p, x, q, a)
	case a.code == int16(kafka.OffsetOutOfRange):
		f.update(q, func(c *cursor) { c.standing = true })
		p.fault(q, &OutOfRangeError{
			Topic: f.conf.Topic, Partition: q.partition, Offset: q.offset, LogStart: a.logStart, LogEnd: -1})
	case isMoved(a.code):
		f.update(q, func(c *cursor) { c.broker, c.refused = homeless, c.refused+1 })
		if f.conf.Watch.Moved != nil {
			f.conf.Watch.Moved(q.partition, kafkaError(a.code))
		}
		f.wake()
	default:
		f.update(q, func(c *cursor) { c.answered = time.Now() })
		p.fault(q, &PartitionError{Topic: f.conf.Topic, Partition: q.partition, Err: kafkaError(a.code)})
	}
}

// fault keeps what is wrong with a partition until the records of the answer have been handed over.
func (p *poller) fault(q asked, err error) {
	p.faults = append(p.faults, &Fetch{fault: err, about: q})
}

// takeRecords decodes the records of one partition into the Fetch.
func (f *fetcher) takeRecords(p *poller, x *Fetch, q asked, a *answered) {
	first := len(x.records)
	records, result, err := p.decoder.Append(x.records, recordbatch.Set{
		Bytes: a.records, Partition: q.partition, From: q.offset, Aborted: a.aborted,
	}, &x.scratch)
	x.records = records
	if !f.advance(q, result.Next, a.lastStable, result.Missing, result.Next > q.offset) {
		x.records = records[:first] // a Seek came in between
		return
	}
	x.Batches = append(x.Batches, Batch{
		Partition: q.partition, From: q.offset, Next: result.Next, HighWatermark: a.highWatermark,
		LastStable: a.lastStable, LogStart: a.logStart, turn: q.turn, first: first,
	})
	if err != nil && result.Next == q.offset { // else it comes again, as the first one
		f.update(q, func(c *cursor) {
			if c.broken++; c.broken > readAgain {
				c.standing = true
				p.fault(q, corruptError(f.conf.Topic, q.partition, err))
			}
		})
	}
}

// hand gives the answer to Poll and then what was wrong with it. It reports false when ctx has ended.
func (f *fetcher) hand(ctx context.Context, p *poller, x *Fetch) bool {
	if len(x.Batches) == 0 {
		x.Release()
	} else if !f.give(ctx, p, x) {
		return false
	}
	refused := false
	for _, x := range p.faults {
		var outside *OutOfRangeError
		if errors.As(x.fault, &outside) {
			f.measure(ctx, outside)
		}
		var serve *PartitionError
		refused = refused || errors.As(x.fault, &serve)
		f.report(x.fault)
		if !f.give(ctx, p, x) {
			return false
		}
	}
	return !refused || pause(ctx, refusedPause)
}

// give waits until Poll takes x.
func (f *fetcher) give(ctx context.Context, p *poller, x *Fetch) bool {
	p.blocked.Store(true)
	defer p.blocked.Store(false)
	select {
	case f.out <- x:
		return true
	case <-ctx.Done():
		return false
	}
}

// measure asks what range the log has, for the message that a person will read.
func (f *fetcher) measure(ctx context.Context, e *OutOfRangeError) {
	ranges, err := f.links.offsets(ctx, e.Partition)
	if err != nil {
		f.log.Warn("kafka: range of the log unknown", "topic", e.Topic, "partition", e.Partition, "err", err)
		return
	}
	e.LogStart, e.LogEnd = ranges[e.Partition].First, ranges[e.Partition].End
}

// report tells the log and the hooks of a fault.
func (f *fetcher) report(fault error) {
	f.log.Error("kafka: partition cannot be read", "err", fault)
	var out *OutOfRangeError
	var broken *CorruptError
	switch {
	case errors.As(fault, &out) && f.conf.Watch.OutOfRange != nil:
		f.conf.Watch.OutOfRange(out)
	case errors.As(fault, &broken) && f.conf.Watch.Corrupt != nil:
		f.conf.Watch.Corrupt(broken)
	}
}

// lose gives up a broker after an error: its partitions are routed anew, perhaps to the same broker.
func (f *fetcher) lose(ctx context.Context, p *poller, err error) {
	f.mu.Lock()
	delete(f.pollers, p.broker)
	first := false
	for _, c := range f.cursors {
		if c.broker == p.broker {
			first = first || c.refused == 0
			c.broker, c.refused = homeless, c.refused+1
		}
	}
	f.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	if first { // of a row
		f.log.Warn("kafka: broker lost", "topic", f.conf.Topic, "broker", p.broker, "err", err)
	}
	if f.conf.Watch.Lost != nil {
		f.conf.Watch.Lost(p.broker, err)
	}
	if errors.Is(err, ErrFrameTooLarge) { // of the first partition: the others fit into the limit
		q := p.asked[0]
		fault := &PartitionError{Topic: f.conf.Topic, Partition: q.partition, Err: err}
		f.report(fault)
		if !f.give(ctx, p, &Fetch{fault: fault, about: q}) || !pause(ctx, refusedPause) {
			return
		}
	}
	f.wake()
}
