package stream

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

const (
	// defaultRequestTimeout is how long an answer is waited for before the same
	// bytes are sent again. Repeating is harmless, so it is short beside Kafka's
	// 30 s: it bounds how long a silently lost connection holds a partition up.
	defaultRequestTimeout = 3 * time.Second
	// defaultDeliveryTimeout is how long a message is tried. A broker restart or
	// a leader election takes seconds; a caller that waits longer than this is
	// better told.
	defaultDeliveryTimeout = 30 * time.Second
	// brokersTTL is how old the list of brokers' addresses gets. It is asked for
	// without topics: about a hundred bytes, twice a second.
	brokersTTL = time.Second
	// defaultQueuedBytes bounds the memory of everything that was published and
	// has not settled: half a second's work at full speed.
	defaultQueuedBytes = 64 << 20
	// defaultMessageBytes bounds one message with its headers; with it a batch of
	// one stays below what brokers accept by default.
	defaultMessageBytes = maxBatchBytes
)

// ProducerConfig says how to publish. Only Config is needed.
type ProducerConfig struct {
	Config
	// RequestTimeout is how long one produce request may take before it is
	// repeated; 3 s when zero.
	RequestTimeout time.Duration
	// DeliveryTimeout is how long a message is tried before it fails, whatever
	// its caller's context says; 30 s when zero.
	DeliveryTimeout time.Duration
	// QueuedBytes bounds the memory of everything that was published and has not
	// settled; publishing waits for room when it is reached. 64 MiB when zero, and
	// never less than one message may have.
	QueuedBytes int64
	// MessageBytes bounds one message with its headers, uncompressed; 1,000,000 when
	// zero. What is larger than a batch leaves as a batch of its own, and its topic
	// must take such ones (max.message.bytes).
	MessageBytes int
	// Compression packs batches from 2 KiB on; none when zero.
	Compression recordbatch.Codec
}

// Producer publishes messages: once, in order, and acknowledged only when all
// in-sync replicas have them.
//
// Once: every batch carries the producer's id, epoch and a sequence number, and
// a retry sends the same bytes, so the broker drops copies (KIP-98).
//
// In order: messages with the same key stand in the log in the order in which
// they were published, across retries and leader changes. When one fails, those
// of the same key that had queued behind it fail too.
//
// Fast: a message that finds its partition idle leaves at once; while a request
// is in flight, others queue and share the next one.
//
// A Producer is safe for concurrent use. Close it.
type Producer struct {
	cfg        ProducerConfig
	log        *slog.Logger
	link       *link
	routes     *routes
	identities *identities
	clock      *clock
	buffers    buffers
	room       *semaphore.Weighted // bytes

	start  time.Time
	ctx    context.Context // ends when the producer is closed for good
	cancel context.CancelFunc
	closed atomic.Bool
	work   sync.WaitGroup // senders, timers and the routes

	mu      sync.RWMutex
	topics  map[string][]*lane // by partition; nil when closed
	senders map[int32]*sender
}

// NewProducer checks the configuration and returns a producer. It opens no
// connection: a cluster that is down fails the first publish, not the start.
func NewProducer(cfg ProducerConfig) (*Producer, error) {
	transport, err := cfg.transport()
	if err != nil {
		return nil, err
	}
	transport.MetadataTopics, transport.MetadataTTL = []string{}, brokersTTL // no topics: the routes ask for themselves
	if cfg.RequestTimeout <= 0 {
		cfg.RequestTimeout = defaultRequestTimeout
	}
	if cfg.DeliveryTimeout <= 0 {
		cfg.DeliveryTimeout = defaultDeliveryTimeout
	}
	if cfg.QueuedBytes <= 0 {
		cfg.QueuedBytes = defaultQueuedBytes
	}
	if cfg.MessageBytes <= 0 {
		cfg.MessageBytes = defaultMessageBytes
	}
	cfg.QueuedBytes = max(cfg.QueuedBytes, int64(cfg.MessageBytes))
	l := &link{transport: transport, addr: cfg.address(), clientID: cfg.clientID(), timeout: cfg.RequestTimeout}
	p := &Producer{
		cfg: cfg, log: cfg.logger(), link: l, start: time.Now(),
		routes:     newRoutes(l, cfg.logger()),
		identities: &identities{ask: askIdentity(l), log: cfg.logger()},
		clock:      newClock(time.Now),
		room:       semaphore.NewWeighted(cfg.QueuedBytes),
		topics:     make(map[string][]*lane),
		senders:    make(map[int32]*sender),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.work.Go(func() { p.routes.run(p.ctx) })
	return p, nil
}

// Publish writes one message and returns its position when all in-sync replicas
// have it. It waits until then, until ctx ends, or until the delivery timeout.
// The error is a *PublishError and wraps ErrNotSent, ErrUnknownOutcome or
// ErrRefused. When ctx ends while the message is under way the error is
// ErrUnknownOutcome, and the producer still tries to deliver it.
func (p *Producer) Publish(ctx context.Context, m Message) (Ack, error) {
	in := intake{p: p, ticket: newTicket(1), now: time.Now()}
	in.add(ctx, 0, &m)
	in.dispatch()
	in.ticket.wait(ctx, p.freed)
	acks, failed := in.ticket.results([]Message{m}, ctx.Err())
	if failed != nil {
		return Ack{}, failed[0]
	}
	return acks[0], nil
}

// PublishAll writes messages, in batches as large as possible, and returns their
// positions in the order of the messages. It waits like Publish, for all of
// them. Order is kept per key. If any was not acknowledged the error is a
// *PublishAllError that says which, and their acks are zero.
func (p *Producer) PublishAll(ctx context.Context, messages []Message) ([]Ack, error) {
	if len(messages) == 0 {
		return nil, nil
	}
	in := intake{p: p, ticket: newTicket(len(messages)), now: time.Now()}
	in.admitAll(ctx, messages)
	for i := range messages {
		in.add(ctx, i, &messages[i])
	}
	in.dispatch()
	in.ticket.wait(ctx, p.freed)
	acks, failed := in.ticket.results(messages, ctx.Err())
	if failed != nil {
		return acks, &PublishAllError{Failed: failed, Total: len(messages)}
	}
	return acks, nil
}

// PublishAsync queues one message and calls done with its outcome, exactly once,
// possibly before it returns. For one partition the calls come in the order of
// the log. done must not block and must not publish: it runs where the
// partition's next batch waits. PublishAsync itself waits only while the topic
// is not known yet or there is no room, and no longer than ctx; ctx has no say
// after that.
func (p *Producer) PublishAsync(ctx context.Context, m Message, done func(Ack, error)) {
	in := intake{p: p, ticket: &ticket{entries: make([]entry, 1), call: done}, now: time.Now()}
	in.add(ctx, 0, &m)
	in.dispatch()
}

// Clock returns what is known of this machine's clock against the brokers'. It
// is measured by every acknowledgement of a LogAppendTime topic.
func (p *Producer) Clock() ClockReading { return p.clock.reading() }

// Now returns a stamp that is not ahead of any broker's clock, as far as
// measured, and normally less than a few milliseconds behind. It never goes back
// unless a broker's clock turns out to be behind those known so far. Before the
// first measurement it is this machine's time less 500 ms; call MeasureClock
// first where that matters.
func (p *Producer) Now() time.Time { return p.clock.stamp() }

// MeasureClock publishes one empty record to every partition of a topic, only to
// read the brokers' clocks. The topic must be a LogAppendTime topic that nobody
// reads: without an append there is no answer with a broker's time in it.
func (p *Producer) MeasureClock(ctx context.Context, topic string) error {
	n, err := p.routes.partitions(ctx, topic)
	if err != nil {
		return fmt.Errorf("measure clock by topic %s: %w", topic, err)
	}
	marks := make([]Message, n)
	for i := range marks {
		marks[i] = Message{Topic: topic, Partition: int32(i), Value: []byte{}}
	}
	acks, err := p.PublishAll(ctx, marks)
	if err != nil {
		return fmt.Errorf("measure clock by topic %s: %w", topic, err)
	}
	for _, a := range acks {
		if a.Appended.IsZero() {
			return fmt.Errorf("measure clock by topic %s: not a LogAppendTime topic", topic)
		}
	}
	return nil
}

// Close waits until everything published has settled, or until ctx ends: then
// what is left fails, as not sent where that is certain. When it returns, no
// callback will be called and no goroutine is left. Publishing during and after
// Close fails with ErrClosed. The error says that not everything was delivered
// for lack of time.
func (p *Producer) Close(ctx context.Context) error {
	if p.closed.Swap(true) {
		p.work.Wait()
		return nil
	}
	err := p.room.Acquire(ctx, p.cfg.QueuedBytes) // all of it: nothing is under way
	p.cancel()
	p.mu.Lock()
	topics := p.topics
	p.topics = nil
	p.mu.Unlock()
	for _, lanes := range topics {
		for _, l := range lanes {
			p.stop(l)
		}
	}
	if err != nil {
		_ = p.room.Acquire(context.Background(), p.cfg.QueuedBytes) // all is failing now, so this ends
		err = fmt.Errorf("close producer: not everything was delivered: %w", err)
	}
	p.room.Release(p.cfg.QueuedBytes) // those who wait for room see that it is closed
	p.work.Wait()
	p.link.transport.CloseIdleConnections()
	return err
}

// stop ends a resting lane; all others end by themselves.
func (p *Producer) stop(l *lane) {
	l.mu.Lock()
	stopped := l.state == laneResting && l.resting.Stop()
	l.mu.Unlock()
	if stopped {
		p.abandon(l)
		p.work.Done()
	}
}

// freed gives back the room of an entry that will never be sent.
func (p *Producer) freed(e *entry) { p.room.Release(int64(e.size)) }

// lane returns the lane of the message's partition.
func (p *Producer) lane(ctx context.Context, m *Message) (*lane, error) {
	p.mu.RLock()
	lanes := p.topics[m.Topic]
	p.mu.RUnlock()
	if lanes == nil {
		var err error
		if lanes, err = p.topic(ctx, m.Topic); err != nil {
			return nil, join(ErrNotSent, err)
		}
	}
	partition, err := m.place(int32(len(lanes)))
	if err != nil {
		return nil, err
	}
	return lanes[partition], nil
}

// topic learns of a topic and returns its lanes.
func (p *Producer) topic(ctx context.Context, name string) ([]*lane, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.DeliveryTimeout)
	defer cancel()
	n, err := p.routes.partitions(ctx, name)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.topics == nil {
		return nil, ErrClosed
	}
	lanes := p.topics[name]
	for i := int32(len(lanes)); i < n; i++ {
		lanes = append(lanes, &lane{topic: name, partition: i})
	}
	p.topics[name] = lanes
	return lanes, nil
}

// sender returns the sender to a broker.
func (p *Producer) sender(broker int32) *sender {
	p.mu.RLock()
	s := p.senders[broker]
	p.mu.RUnlock()
	if s != nil {
		return s
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s = p.senders[broker]; s == nil {
		s = &sender{p: p, broker: broker}
		p.senders[broker] = s
	}
	return s
}
