package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/initproducerid"

	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

// ErrFenced: another program has taken the partition over. What was published
// before is in the log; nothing that is published from now on will be.
var ErrFenced = errors.New("another producer has taken the partition over")

// fenceTimeoutMs is what the coordinator wants of every transactional id. There
// is never a transaction that could take so long.
const fenceTimeoutMs = 60_000

// Fencer gives one program at a time the right to write a partition, as Kafka
// does for transactions (KIP-98): all who want to write it agree on a
// transactional id, and whoever asks for it last gets the highest epoch of its
// producer id. From the first batch under that epoch on, the partition refuses
// everybody who asked before, however late their requests arrive. There are no
// transactions: batches are plain idempotent ones, and readers wait for nothing.
//
// The id is the coordinator's: the principal needs Write on the transactional
// ids. A Fencer is safe for concurrent use. Close it.
type Fencer struct {
	cfg    ProducerConfig
	link   *link
	routes *routes
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// NewFencer checks the configuration and returns a fencer. It opens no
// connection.
func NewFencer(cfg ProducerConfig) (*Fencer, error) {
	transport, err := cfg.transport()
	if err != nil {
		return nil, err
	}
	transport.MetadataTopics, transport.MetadataTTL = []string{}, brokersTTL
	if cfg.RequestTimeout <= 0 {
		cfg.RequestTimeout = defaultRequestTimeout
	}
	if cfg.DeliveryTimeout <= 0 {
		cfg.DeliveryTimeout = defaultDeliveryTimeout
	}
	l := &link{transport: transport, addr: cfg.address(), clientID: cfg.clientID(), timeout: cfg.RequestTimeout}
	f := &Fencer{cfg: cfg, link: l, routes: newRoutes(l, cfg.logger())}
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	f.work.Go(func() { f.routes.run(ctx) })
	return f, nil
}

// Close closes the connections. What is being published fails.
func (f *Fencer) Close() {
	f.cancel()
	f.work.Wait()
	f.link.transport.CloseIdleConnections()
}

// Partitions returns how many partitions a topic has.
func (f *Fencer) Partitions(ctx context.Context, topic string) (int32, error) {
	return f.routes.partitions(ctx, topic)
}

// Fence takes the sole right to write a partition and appends the first message
// under it. When it returns without an error, nobody who called Fence with the
// same id before can write the partition any more. It waits for the cluster, at
// most for the delivery timeout.
func (f *Fencer) Fence(ctx context.Context, id, topic string, partition int32, first Message) (*Fenced, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.DeliveryTimeout)
	defer cancel()
	n, err := f.routes.partitions(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("fence %s/%d: %w", topic, partition, err)
	}
	if partition < 0 || partition >= n {
		return nil, fmt.Errorf("fence %s/%d: the topic has %d partitions", topic, partition, n)
	}
	who, err := f.epoch(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("fence %s/%d: transactional id %s: %w", topic, partition, id, err)
	}
	w := &Fenced{fencer: f, topic: topic, partition: partition, seq: sequence{who: who}}
	if err := w.Publish(ctx, []Message{first}); err != nil {
		return nil, fmt.Errorf("fence: %w", err)
	}
	return w, nil
}

// epoch asks the coordinator for the id's next epoch.
func (f *Fencer) epoch(ctx context.Context, id string) (identity, error) {
	for wait := firstPause; ; wait = min(2*wait, lastPause) {
		m, err := f.link.roundTrip(ctx, &initproducerid.Request{
			TransactionalID: id, TransactionTimeoutMs: fenceTimeoutMs, ProducerID: noProducer, ProducerEpoch: noProducer,
		})
		if err == nil {
			res := m.(*initproducerid.Response)
			if res.ErrorCode == 0 {
				return identity{id: res.ProducerID, epoch: res.ProducerEpoch}, nil
			}
			err = kafka.Error(res.ErrorCode)
		}
		if errors.Is(err, kafka.TransactionalIDAuthorizationFailed) || errors.Is(err, ErrAuthentication) || !rested(ctx, wait) {
			return identity{}, err
		}
	}
}

// Fenced is the right to write one partition. It is for one goroutine at a time.
// After an error it is of no use any more: take another.
type Fenced struct {
	fencer    *Fencer
	topic     string
	partition int32
	seq       sequence
	failed    error
}

// Publish appends messages in their order and returns when all in-sync replicas
// have them. Topic and partition of the messages do not count. The same bytes
// are sent again until an answer settles them, so nothing is doubled. The error
// is ErrFenced when somebody has taken the partition over; with any other, and
// when ctx or the delivery timeout ends it, a part may be in the log or come to
// be there, but nothing behind what a later Fence appends.
func (w *Fenced) Publish(ctx context.Context, messages []Message) error {
	if w.failed != nil {
		return w.failed
	}
	ctx, cancel := context.WithTimeout(ctx, w.fencer.cfg.DeliveryTimeout)
	defer cancel()
	for len(messages) > 0 && w.failed == nil {
		n := firstBatch(messages)
		if err := w.append(ctx, messages[:n]); err != nil {
			w.failed = fmt.Errorf("publish to %s/%d: %w", w.topic, w.partition, err)
		}
		messages = messages[n:]
	}
	return w.failed
}

// firstBatch returns how many of the messages fit one batch; at least one.
func firstBatch(messages []Message) int {
	size, n := 0, 0
	for n < len(messages) && n < maxBatchRecords {
		size += messages[n].size()
		if n > 0 && size > maxBatchBytes {
			break
		}
		n++
	}
	return n
}

// append sends one batch until it is settled.
func (w *Fenced) append(ctx context.Context, messages []Message) error {
	wire, err := w.encode(messages)
	if err != nil {
		return join(ErrRefused, err)
	}
	kind := ErrNotSent
	for wait := firstPause; ; wait = min(2*wait, lastPause) {
		a := w.attempt(ctx, wire)
		switch a.verdict {
		case verdictStored:
			w.seq = w.seq.after(len(messages))
			return nil
		case verdictRefused, verdictDenied:
			if errors.Is(kind, ErrNotSent) {
				kind = ErrRefused
			}
			return join(kind, a.err)
		case verdictFenced:
			if errors.Is(a.err, kafka.InvalidProducerEpoch) {
				kind = ErrFenced
			}
			return join(kind, a.err)
		case verdictUnknown:
			kind = ErrUnknownOutcome
		case verdictUnsent:
		}
		w.fencer.routes.refresh()
		if !rested(ctx, wait) {
			return join(kind, a.err)
		}
	}
}

// attempt sends the bytes once.
func (w *Fenced) attempt(ctx context.Context, wire []byte) attempt {
	leader := w.fencer.routes.leader(w.topic, w.partition)
	if leader == noLeader {
		return attempt{verdict: verdictUnsent, err: errNoLeader}
	}
	l := &lane{topic: w.topic, partition: w.partition, pending: &batch{wire: wire}}
	call := &produceCall{broker: leader, clientID: w.fencer.link.clientID}
	call.request.Acks = acksAll
	call.request.Timeout = int32((w.fencer.cfg.RequestTimeout / 2).Milliseconds())
	addPartition(&call.request, l)
	res, unsent, err := call.do(ctx, w.fencer.link)
	return attemptOf(l, call, res, unsent, err)
}

func (w *Fenced) encode(messages []Message) ([]byte, error) {
	now := time.Now()
	b := batch{seq: w.seq, entries: make([]*entry, len(messages))}
	for i := range messages {
		m := &messages[i]
		b.entries[i] = &entry{body: recordbatch.AppendBody(nil, m.Key, m.Value, m.Headers), millis: m.millis(now)}
	}
	err := b.encode(new(recordbatch.Encoder), nil, w.fencer.cfg.Compression)
	return b.wire, err
}

// rested waits for about the pause and says whether ctx is still alive.
func rested(ctx context.Context, d time.Duration) bool { return pause(ctx, d/2+rand.N(d/2+1)) }
